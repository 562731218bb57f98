use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::DistributedError;

/// A randomised Hadamard rotation, block by block: it keeps lengths, and spreads each block's over all its coordinates.
///
/// Signs from a public seed that everyone in the round shares, then the Hadamard matrix over the square root of the
/// block. It is linear, so the sum of rotated vectors is the rotated sum. Blocks are a power of two of places; of the
/// last, as many as are needed are used, the next power of two, filled up with zeros.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::distributed::Rotation;
///
/// let rotation = Rotation::new([3; 32], 4)?;
/// let mut values = vec![0.0, 5.0, 0.0, 0.0, 1.0];
/// rotation.rotate(&mut values);
/// assert_eq!(values.len(), 5);
/// assert!(values[..4].iter().all(|value| value.abs() == 2.5));
/// rotation.undo(&mut values);
/// assert_eq!(values, [0.0, 5.0, 0.0, 0.0, 1.0]);
/// # Ok::<(), federated_core::privacy::dp::distributed::DistributedError>(())
/// ```
///
/// # References
/// Kairouz, Liu, Steinke, ICML 2021: section 4 (why coordinates must be small); Ailon, Chazelle 2006 (the transform).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    seed: [u8; 32],
    block: usize,
}

impl Rotation {
    /// A rotation in blocks of so many places.
    ///
    /// # Errors
    /// [`DistributedError::Block`] when that is not a power of two up to 2^30.
    pub const fn new(seed: [u8; 32], block: usize) -> Result<Self, DistributedError> {
        if block.is_power_of_two() && block <= 1 << 30 {
            Ok(Self { seed, block })
        } else {
            Err(DistributedError::Block { found: block })
        }
    }

    /// How many places a rotated vector of so many values takes.
    #[must_use]
    pub const fn padded(&self, values: usize) -> usize {
        let rest = values % self.block;
        values - rest + if rest == 0 { 0 } else { rest.next_power_of_two() }
    }

    /// The places of the smallest block of a vector of so many values: what the bound on a coordinate of it goes by.
    #[must_use]
    pub const fn smallest_block(&self, values: usize) -> usize {
        let rest = values % self.block;
        if rest == 0 { self.block } else { rest.next_power_of_two() }
    }

    /// Rotates a vector, and fills it up to whole blocks.
    pub fn rotate(&self, values: &mut Vec<f32>) {
        values.resize(self.padded(values.len()), 0.0);
        for (number, block) in (0..).zip(values.chunks_mut(self.block)) {
            self.flip(number, block);
            hadamard(block);
        }
    }

    /// Undoes [`rotate`](Self::rotate) on a vector that it was done to, but for the rounding of `f32`. Truncate what
    /// was filled up.
    pub fn undo(&self, values: &mut [f32]) {
        for (number, block) in (0..).zip(values.chunks_mut(self.block)) {
            hadamard(block);
            self.flip(number, block);
        }
    }

    /// Changes the signs that the keystream says, from a stream of its own for each block.
    fn flip(&self, number: u64, block: &mut [f32]) {
        let mut generator = ChaCha20Rng::from_seed(self.seed);
        generator.set_stream(number);
        for values in block.chunks_mut(32) {
            let bits = generator.next_u32();
            for (place, value) in values.iter_mut().enumerate() {
                *value = f32::from_bits(value.to_bits() ^ (bits >> place & 1) << 31);
            }
        }
    }
}

/// The Hadamard transform of a power of two of values, over the square root of their number: its own inverse.
#[expect(clippy::cast_possible_truncation, reason = "a factor of an f32")]
fn hadamard(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (left, right) = pair.split_at_mut(half);
            for (a, b) in left.iter_mut().zip(right) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let factor = 1.0 / (values.len() as f64).sqrt();
    values.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
}
