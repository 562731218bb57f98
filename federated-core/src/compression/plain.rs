//! 32-bit floats as they are, and the check that every decoded value goes through.

use pulp::Arch;

use super::CompressionError;
use crate::model::MAX_MAGNITUDE;

/// The bits of a float without its sign.
pub(super) const MAGNITUDE_BITS: u32 = 0x7fff_ffff;

/// Appends values as little-endian bytes.
pub(super) fn encode(values: &[f32], payload: &mut Vec<u8>) {
    let start = payload.len();
    payload.resize(start + values.len() * 4, 0);
    let (words, _) = payload.get_mut(start..).unwrap_or_default().as_chunks_mut::<4>();
    words.iter_mut().zip(values).for_each(|(word, value)| *word = value.to_le_bytes());
}

/// Reads as many values as there is room for.
pub(super) fn decode(payload: &[u8], values: &mut [f32]) {
    let (words, _) = payload.as_chunks::<4>();
    values.iter_mut().zip(words).for_each(|(value, word)| *value = f32::from_le_bytes(*word));
}

/// Checks that values are finite and below 2^31 in magnitude; the first one is element `first` of the update.
pub(super) fn check(values: &[f32], first: u64) -> Result<(), CompressionError> {
    // Bits without sign grow with the magnitude, and those of infinities and NaN are larger still.
    let usable = |value: &f32| value.to_bits() & MAGNITUDE_BITS < MAX_MAGNITUDE.to_bits();
    // No early end: the compiler then compares many at a time.
    if Arch::new().dispatch(|| values.iter().fold(true, |all, value| all & usable(value))) {
        return Ok(());
    }
    let (place, found) = values
        .iter()
        .enumerate()
        .find(|(_, value)| !usable(value))
        .map_or((0, f32::NAN), |(at, value)| (at, *value));
    let element = first + place as u64;
    Err(if found.is_finite() {
        CompressionError::TooLarge { element, found }
    } else {
        CompressionError::NotFinite { element, found }
    })
}
