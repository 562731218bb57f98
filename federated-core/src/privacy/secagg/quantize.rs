//! Real numbers as integers that can be masked and summed: clipped, scaled, and rounded up or down by chance.

use std::fmt;

use pulp::{Arch, NullaryFnOnce};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};
use zeroize::Zeroizing;

use super::Modulus;
use crate::ids::Fingerprint;

/// Elements that are rounded at a time.
const GROUP: usize = 256;
/// 1.5 * 2^52: what is added to it is rounded to an integer, in two's complement in the lowest bits.
const TO_INTEGER: f64 = 6_755_399_441_055_744.0;
/// 2^-32.
const RANDOM_UNIT: f64 = 1.0 / 4_294_967_296.0;

/// What decides the rounding of one participant's vector in one round.
///
/// # Security
/// Whoever knows it learns from a rounded value more than its nearest integers. Draw a new one for each vector. The sum of
/// several vectors hides that as it hides the values.
pub struct RoundingSeed(Zeroizing<[u8; 32]>);

impl RoundingSeed {
    /// A seed of these bytes.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The seed of a task's vector: SHA-256 over `"flsa/v1 rounding\n"` and the task's seed (u64, little-endian). The task's
    /// coordinator knows it; with it a run can be repeated.
    #[must_use]
    pub fn from_task(seed: u64) -> Self {
        let bytes = [&b"flsa/v1 rounding\n"[..], &seed.to_le_bytes()].concat();
        Self(Zeroizing::new(*Fingerprint::of(&bytes).as_bytes()))
    }

    /// The randomness from an element of the vector on. Element `i` takes word `i` of one ChaCha20 stream, so that it
    /// is rounded the same way however the vector is cut.
    pub(super) fn at_element(&self, element: u64) -> Rounding {
        let mut generator = ChaCha20Rng::from_seed(*self.0);
        generator.set_word_pos(element.into());
        Rounding(generator)
    }
}

impl fmt::Debug for RoundingSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoundingSeed(..)")
    }
}

/// The randomness of the elements from some place on.
pub(super) struct Rounding(ChaCha20Rng);

/// Integers of some bits, within elements of more: the sum of several still fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantizer {
    modulus: Modulus,
    most: u32,
}

impl Quantizer {
    /// Integers of so many bits, from 1 to 31.
    pub(super) const fn new(modulus: Modulus, bits: u32) -> Self {
        Self { modulus, most: (1 << (bits - 1)) - 1 }
    }

    /// The largest magnitude of an integer: 2^(bits - 1) - 1.
    pub(super) const fn most(self) -> u32 {
        self.most
    }

    /// Writes `floor(clip(value * factor) + u)` for each value, and gives how many were clipped to the largest
    /// magnitude.
    ///
    /// The expectation is `clip(value * factor)`, up to 2^-32.
    pub(super) fn encode(
        self,
        values: &[f32],
        factor: f64,
        rounding: &mut Rounding,
        bytes: &mut [u8],
    ) -> u64 {
        let mut random = [0; GROUP * 4];
        let (arch, width, most) = (Arch::new(), self.modulus.bytes(), f64::from(self.most));
        let groups = values.chunks(GROUP).zip(bytes.chunks_mut(GROUP * width));
        let encode = |(values, bytes): (&[f32], &mut [u8])| {
            let random = random.get_mut(..values.len() * 4).unwrap_or_default();
            rounding.0.fill_bytes(random);
            let random = random.as_chunks().0;
            arch.dispatch(Encode { modulus: self.modulus, values, factor, most, random, bytes })
        };
        groups.map(encode).sum()
    }

    /// Rounds one number, given in steps of this quantiser. Tells whether it was clipped.
    pub(super) fn round(self, steps: f64, rounding: &mut Rounding) -> (u32, bool) {
        round(steps, f64::from(self.most), rounding.0.next_u32())
    }

    /// Reads each sum times `factor`. False when a sum is larger in magnitude than `limit`, below 2^31.
    pub(super) fn decode(self, sums: &[u8], factor: f64, limit: u32, values: &mut [f32]) -> bool {
        Arch::new().dispatch(Decode { modulus: self.modulus, sums, factor, limit, values })
    }
}

/// The low 32 bits of `floor(clip(steps) + u)`, and whether it was clipped.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the integer is in the lowest bits")]
fn round(steps: f64, most: f64, random: u32) -> (u32, bool) {
    let clipped = steps.clamp(-most, most);
    // Adding a large number rounds as a conversion would, and compiles to fewer instructions.
    let nearest = (clipped + TO_INTEGER) - TO_INTEGER;
    let below = if nearest > clipped { nearest - 1.0 } else { nearest };
    let up = (clipped - below) + f64::from(random) * RANDOM_UNIT >= 1.0;
    let rounded = if up { below + 1.0 } else { below };
    ((rounded + TO_INTEGER).to_bits() as u32, steps.abs() > most)
}

/// A type and not a closure, as [`NullaryFnOnce`] must be inlined to be compiled for the instructions at hand.
struct Encode<'a> {
    modulus: Modulus,
    values: &'a [f32],
    factor: f64,
    most: f64,
    random: &'a [[u8; 4]],
    bytes: &'a mut [u8],
}

impl NullaryFnOnce for Encode<'_> {
    type Output = u64;

    #[inline(always)]
    fn call(self) -> u64 {
        let Self { modulus, values, factor, most, random, bytes } = self;
        let (mut integers, mut clipped) = ([0; GROUP], 0_u32);
        for ((integer, value), random) in integers.iter_mut().zip(values).zip(random) {
            let (rounded, beyond) = round(f64::from(*value) * factor, most, u32::from_le_bytes(*random));
            *integer = rounded;
            clipped += u32::from(beyond);
        }
        match modulus {
            Modulus::B16 => write(bytes.as_chunks_mut().0, &integers, |[a, b, ..]| [a, b]),
            Modulus::B24 => write(bytes.as_chunks_mut().0, &integers, |[a, b, c, _]| [a, b, c]),
            Modulus::B32 => write(bytes.as_chunks_mut().0, &integers, |bytes| bytes),
        }
        clipped.into()
    }
}

#[inline(always)]
fn write<const N: usize>(places: &mut [[u8; N]], integers: &[u32; GROUP], cut: impl Fn([u8; 4]) -> [u8; N]) {
    places.iter_mut().zip(integers).for_each(|(place, integer)| *place = cut(integer.to_le_bytes()));
}

struct Decode<'a> {
    modulus: Modulus,
    sums: &'a [u8],
    factor: f64,
    limit: u32,
    values: &'a mut [f32],
}

impl NullaryFnOnce for Decode<'_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let Self { modulus, sums, factor, limit, values } = self;
        match modulus {
            Modulus::B16 => {
                read(sums.as_chunks().0, factor, limit, values, |bytes| i16::from_le_bytes(bytes).into())
            }
            Modulus::B24 => read(sums.as_chunks().0, factor, limit, values, |[a, b, c]| {
                i32::from_le_bytes([0, a, b, c]) >> 8
            }),
            Modulus::B32 => read(sums.as_chunks().0, factor, limit, values, i32::from_le_bytes),
        }
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a mean is rounded to the nearest f32, as a model needs")]
fn read<const N: usize>(
    sums: &[[u8; N]],
    factor: f64,
    limit: u32,
    values: &mut [f32],
    integer: impl Fn([u8; N]) -> i32,
) -> bool {
    let mut sound = true;
    for (value, sum) in values.iter_mut().zip(sums) {
        let sum = integer(*sum);
        sound &= sum.unsigned_abs() <= limit;
        *value = (f64::from(sum) * factor) as f32;
    }
    sound
}

#[cfg(test)]
mod tests;
