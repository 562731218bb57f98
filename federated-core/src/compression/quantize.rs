//! Stochastic quantisation: small integers with a scale for each group of elements.
//!
//! The payload of a block is the scale of each group (f32, little-endian), then the integers of all groups: for int8 a
//! byte each, two's complement; for int4 half a byte each, two's complement, the element with the even place in the
//! lower half, and an unused last half of zero.

use pulp::{Arch, NullaryFnOnce};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::CompressionError;
use crate::model::MAX_MAGNITUDE;

/// Elements that share a scale: 256. Smaller groups follow the values more closely and spend more bytes on scales.
pub const GROUP_ELEMENTS: usize = 256;

/// Binary digits of the probability of rounding up.
const FRACTION_BITS: u32 = 23;
/// 2^23: what a float's last place is worth when the float lies between it and 2^24 is 1.
const FRACTION_UNIT: f32 = 8_388_608.0;
/// 1.5 * 2^23: adding it to a magnitude up to 2^22 leaves the nearest integer in the lowest bits.
const TO_INTEGER: f32 = 12_582_912.0;
/// The smallest scale, 2^-100. Its inverse is finite, and it is far below what changes a model.
const LEAST_SCALE: f32 = 7.888_609e-31;
/// Cuts a float to 16 significant bits, so that its product with an integer of 7 bits is exact.
const SCALE_BITS: u32 = 0xffff_ff00;

/// How many bits an integer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Int8,
    Int4,
}

impl Width {
    /// The largest integer.
    const fn most(self) -> i8 {
        match self {
            Self::Int8 => 127,
            Self::Int4 => 7,
        }
    }

    /// Bytes that the integers of this many elements take.
    const fn integer_bytes(self, elements: usize) -> usize {
        match self {
            Self::Int8 => elements,
            Self::Int4 => elements.div_ceil(2),
        }
    }

    const fn scale_bytes(elements: usize) -> usize {
        elements.div_ceil(GROUP_ELEMENTS) * 4
    }

    /// Bytes that a block of this many elements takes.
    pub(super) const fn payload_bytes(self, elements: usize) -> usize {
        Self::scale_bytes(elements) + self.integer_bytes(elements)
    }

    /// Appends a block of finite values below 2^31 in magnitude.
    ///
    /// The randomness is that of `seed` and `block`; element `i` takes word `i` of it, whatever the other elements are.
    pub(super) fn encode(self, values: &[f32], seed: u64, block: u64, payload: &mut Vec<u8>) {
        let start = payload.len();
        payload.resize(start + self.payload_bytes(values.len()), 0);
        let added = payload.get_mut(start..).unwrap_or_default();
        let Some((scales, integers)) = added.split_at_mut_checked(Self::scale_bytes(values.len())) else {
            return;
        };
        let (arch, mut generator) = (Arch::new(), generator(seed, block));
        let (mut group, mut random) = ([0.0; GROUP_ELEMENTS], [0; GROUP_ELEMENTS * 4]);
        let (scales, _) = scales.as_chunks_mut::<4>();
        let places = integers.chunks_mut(self.integer_bytes(GROUP_ELEMENTS));
        for ((values, scale), place) in values.chunks(GROUP_ELEMENTS).zip(scales).zip(places) {
            generator.fill_bytes(&mut random);
            // A shorter group is filled up with zeros, which become zeros.
            let values = values.try_into().unwrap_or_else(|_| {
                group.iter_mut().zip(values).for_each(|(place, value)| *place = *value);
                &group
            });
            *scale = arch.dispatch(EncodeGroup { width: self, values, random: &random, place }).to_le_bytes();
        }
    }

    /// Reads a block; `payload` has its length. The first value is element `first` of the update.
    pub(super) fn decode(
        self,
        payload: &[u8],
        first: u64,
        values: &mut [f32],
    ) -> Result<(), CompressionError> {
        let scale_bytes = Self::scale_bytes(values.len());
        let (scales, integers) = payload.split_at_checked(scale_bytes).unwrap_or_default();
        let (scales, _) = scales.as_chunks::<4>();
        let groups =
            values.chunks_mut(GROUP_ELEMENTS).zip(integers.chunks(self.integer_bytes(GROUP_ELEMENTS)));
        let arch = Arch::new();
        for (index, ((values, integers), scale)) in groups.zip(scales).enumerate() {
            let element = first + (index * GROUP_ELEMENTS) as u64;
            let scale = f32::from_le_bytes(*scale);
            // Not so for NaN. The largest product is the largest of any integer.
            if !(scale >= 0.0 && scale * f32::from(self.most()) < MAX_MAGNITUDE) {
                return Err(CompressionError::Scale { element, found: scale });
            }
            let sound = arch.dispatch(DecodeGroup { width: self, integers, scale, values });
            if !sound {
                return Err(CompressionError::Level { element, most: self.most() });
            }
        }
        Ok(())
    }
}

/// The generator of a block: ChaCha8 under a key of the seed (u64, little-endian) and a name, the stream of the block's
/// number.
fn generator(seed: u64, block: u64) -> ChaCha8Rng {
    let mut key = *b"\0\0\0\0\0\0\0\0federated.rounding.v1\0\0\0";
    if let Some(low) = key.first_chunk_mut() {
        *low = seed.to_le_bytes();
    }
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(block);
    generator
}

/// Writes the integers of a group, and gives its scale.
///
/// A type and not a closure: a closure of this size is compiled on its own, without the instructions that were
/// dispatched for. For the same reason all that it calls is inlined.
struct EncodeGroup<'a> {
    width: Width,
    values: &'a [f32; GROUP_ELEMENTS],
    random: &'a [u8; GROUP_ELEMENTS * 4],
    place: &'a mut [u8],
}

impl NullaryFnOnce for EncodeGroup<'_> {
    type Output = f32;

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "an integer is at most 127 in magnitude")]
    fn call(self) -> f32 {
        let most = f32::from(self.width.most());
        let scale = scale(largest(self.values), most);
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let (words, _) = self.random.as_chunks::<4>();
        let mut integers = [0; GROUP_ELEMENTS];
        for ((integer, value), word) in integers.iter_mut().zip(self.values).zip(words) {
            // Noise is added before the fraction is cut off.
            *integer = ((fixed_point(*value, inverse, most) + noise(*word)) >> FRACTION_BITS) as i8;
        }
        match self.width {
            Width::Int8 => pack_int8(&integers, self.place),
            Width::Int4 => pack_int4(&integers, self.place),
        }
        scale
    }
}

/// Writes the values of a group, and tells whether all integers were sound.
struct DecodeGroup<'a> {
    width: Width,
    integers: &'a [u8],
    scale: f32,
    values: &'a mut [f32],
}

impl NullaryFnOnce for DecodeGroup<'_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        match self.width {
            Width::Int8 => unpack_int8(self.integers, self.scale, self.values),
            Width::Int4 => unpack_int4(self.integers, self.scale, self.values),
        }
    }
}

/// `value * inverse` in units of 2^-23, cut to `most` in magnitude.
///
/// Adding a large float and taking its lowest bits rounds as a conversion would, and compiles to fewer instructions:
/// conversions from float to integer saturate in Rust.
#[inline(always)]
fn fixed_point(value: f32, inverse: f32, most: f32) -> i32 {
    let steps = (value * inverse).clamp(-most, most);
    let nearest = steps + TO_INTEGER;
    let fraction = (steps - (nearest - TO_INTEGER)) * FRACTION_UNIT + TO_INTEGER;
    let integer = |float: f32| float.to_bits().wrapping_sub(TO_INTEGER.to_bits());
    (integer(nearest) << FRACTION_BITS).wrapping_add(integer(fraction)).cast_signed()
}

/// A uniform number from 0 to below one, in units of 2^-23, from a random word.
#[inline(always)]
const fn noise(word: [u8; 4]) -> i32 {
    (u32::from_le_bytes(word) >> (32 - FRACTION_BITS)).cast_signed()
}

/// The step for a group whose largest magnitude is `largest`: a `most`th of it, with 16 significant bits.
fn scale(largest: f32, most: f32) -> f32 {
    if largest > 0.0 {
        let up = f32::from_bits(((largest / most).to_bits() + !SCALE_BITS) & SCALE_BITS);
        up.clamp(LEAST_SCALE, largest_scale(most))
    } else {
        0.0
    }
}

/// The largest scale with 16 significant bits whose products stay below 2^31.
fn largest_scale(most: f32) -> f32 {
    f32::from_bits((MAX_MAGNITUDE / most).to_bits() & SCALE_BITS)
}

#[inline(always)]
fn largest(values: &[f32; GROUP_ELEMENTS]) -> f32 {
    // Sixteen maxima side by side; a single one would be a chain that cannot be cut into vectors.
    let mut lanes = [0.0_f32; 16];
    for chunk in values.as_chunks::<16>().0 {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if value.abs() > *lane { value.abs() } else { *lane };
        }
    }
    lanes.into_iter().fold(0.0, f32::max)
}

#[inline(always)]
fn pack_int8(integers: &[i8; GROUP_ELEMENTS], place: &mut [u8]) {
    place.iter_mut().zip(integers).for_each(|(byte, integer)| *byte = integer.cast_unsigned());
}

#[inline(always)]
fn pack_int4(integers: &[i8; GROUP_ELEMENTS], place: &mut [u8]) {
    let (pairs, _) = integers.as_chunks::<2>();
    for (byte, [even, odd]) in place.iter_mut().zip(pairs) {
        *byte = (even.cast_unsigned() & 0x0f) | (odd.cast_unsigned() << 4);
    }
}

#[inline(always)]
fn unpack_int8(bytes: &[u8], scale: f32, values: &mut [f32]) -> bool {
    values.iter_mut().zip(bytes).for_each(|(value, byte)| *value = f32::from(byte.cast_signed()) * scale);
    bytes.iter().fold(true, |sound, byte| sound & (*byte != 0x80))
}

#[inline(always)]
fn unpack_int4(bytes: &[u8], scale: f32, values: &mut [f32]) -> bool {
    let even = |byte: u8| f32::from((byte << 4).cast_signed() >> 4) * scale;
    let odd = |byte: u8| f32::from(byte.cast_signed() >> 4) * scale;
    let (pairs, last) = values.as_chunks_mut::<2>();
    pairs.iter_mut().zip(bytes).for_each(|(pair, byte)| *pair = [even(*byte), odd(*byte)]);
    let mut padding = 0;
    if let ([value], Some(byte)) = (last, bytes.last()) {
        *value = even(*byte);
        padding = byte >> 4;
    }
    padding == 0 && bytes.iter().fold(true, |sound, byte| sound & (byte & 0x0f != 0x08) & (byte >> 4 != 0x08))
}

#[cfg(test)]
mod tests;
