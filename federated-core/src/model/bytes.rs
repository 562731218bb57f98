#[cfg(target_endian = "big")]
compile_error!(
    "models travel as little-endian f32 and are used in place: a big-endian machine is not supported"
);

/// The wire form of values: little-endian `f32`, four bytes each. Nothing is copied.
#[must_use]
pub fn bytes_of(values: &[f32]) -> &[u8] {
    bytemuck::cast_slice(values)
}

/// The same for writing: fill these bytes with the wire form, and the values are there.
///
/// The values are whatever came: [`ModelParameters::new`](super::ModelParameters::new) and
/// [`check_values`](super::check_values) say whether they can be used.
#[must_use]
pub fn bytes_of_mut(values: &mut [f32]) -> &mut [u8] {
    bytemuck::cast_slice_mut(values)
}

/// A copy of the values in their wire form.
#[must_use]
pub fn values_to_le_bytes(values: &[f32]) -> Vec<u8> {
    bytes_of(values).to_vec()
}

/// Values from a copy of their wire form; a remainder of fewer than four bytes is left out.
#[must_use]
pub fn values_from_le_bytes(bytes: &[u8]) -> Vec<f32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_bytes_are_two_views_of_the_same_memory() {
        let mut values = [0.0_f32; 2];
        bytes_of_mut(&mut values).copy_from_slice(&[0, 0, 0x80, 0x3f, 0xcd, 0xcc, 0xcc, 0x3d]);
        assert_eq!(values.map(f32::to_bits), [1.0_f32, 0.1].map(f32::to_bits));
        assert_eq!(bytes_of(&values[1..]), 0.1_f32.to_le_bytes());
    }
}
