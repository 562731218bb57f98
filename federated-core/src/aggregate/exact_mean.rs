use pulp::{Arch, NullaryFnOnce};

use super::{AggregateError, ExactSum, MAX_TOTAL_WEIGHT, WeightedBlock};

/// Columns worked on at a time: their sums, 16 bytes each, stay in the first-level cache while update after update is
/// added.
const TILE: usize = 1_024;
/// Added to a number below 2^51 in magnitude, this leaves no room for a fraction: the sum is rounded to the nearest
/// integer, ties to even. It is 1.5 * 2^52.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// Coarse units in one: they are 2^-20.
const COARSE: f64 = (1_u64 << 20) as f64;
/// Fine units in a coarse one: they are 2^-56.
const FINE: f64 = (1_u64 << 36) as f64;
/// Below this weight the product with an `f32` is exact in `f64`: 24 and 29 bits make 53.
const EXACT_WEIGHT: u32 = 1 << 29;
/// Below this, the weights together times the largest magnitude leave the coarse sums exact: 2^31 times 2^20 is 2^51.
const EXACT_PRODUCT: f64 = (1_u64 << 31) as f64;
/// Up to this many updates the fine sums stay exact: each adds at most 2^35, which makes 2^52.
const EXACT_UPDATES: usize = 1 << 17;

/// The weighted mean of blocks of columns: the bits of [`ExactSum`], many times as fast.
///
/// For weights and magnitudes as they occur, each product is split into a multiple of 2^-20 and a rest in multiples of
/// 2^-56. Both are integers that `f64` adds exactly, so the order does not matter and the vector units of the processor
/// do the work. A tile whose numbers are too large for that goes through [`ExactSum`].
///
/// # Errors
/// As [`Aggregator::combine`](super::Aggregator::combine).
pub(super) fn exact_mean(blocks: &[WeightedBlock<'_>]) -> Result<Vec<f32>, AggregateError> {
    let length = blocks.first().ok_or(AggregateError::Empty)?.values.len();
    if let Some(other) = blocks.iter().find(|block| block.values.len() != length) {
        return Err(AggregateError::BlockLength { expected: length, found: other.values.len() });
    }
    let total: u64 = blocks.iter().map(|block| u64::from(block.examples.get())).sum();
    if total > MAX_TOTAL_WEIGHT {
        return Err(AggregateError::TotalWeight);
    }
    let mut mean = Vec::with_capacity(length);
    let mut columns = blocks.to_vec();
    let (arch, mut sums) = (Arch::new(), Sums::new());
    for start in (0..length).step_by(TILE) {
        let end = length.min(start + TILE);
        for (tile, block) in columns.iter_mut().zip(blocks) {
            tile.values = block.values.get(start..end).unwrap_or_default();
        }
        if is_small(arch, &columns, total) {
            arch.dispatch(Mean { sums: &mut sums, columns: &columns, total, mean: &mut mean });
        } else {
            mean.extend(mean_in_integers(&columns, end - start)?);
        }
    }
    Ok(mean)
}

/// Whether `f64` holds every sum of the tile exactly.
#[expect(clippy::cast_precision_loss, reason = "a total weight is at most 2^40")]
fn is_small(arch: Arch, columns: &[WeightedBlock<'_>], total: u64) -> bool {
    let largest = arch.dispatch(Largest(columns));
    columns.len() <= EXACT_UPDATES
        && columns.iter().all(|block| block.examples.get() < EXACT_WEIGHT)
        && f64::from(f32::from_bits(largest)) * (total as f64) < EXACT_PRODUCT
}

fn mean_in_integers(columns: &[WeightedBlock<'_>], length: usize) -> Result<Vec<f32>, AggregateError> {
    let mut sum = ExactSum::new(length);
    columns.iter().try_for_each(|block| sum.add(block.examples.get(), block.values))?;
    sum.mean()
}

/// The sums of a tile's columns, in coarse and in fine units.
struct Sums {
    coarse: [f64; TILE],
    fine: [f64; TILE],
}

impl Sums {
    const fn new() -> Self {
        Self { coarse: [0.0; TILE], fine: [0.0; TILE] }
    }
}

/// The bits of the largest magnitude in a tile.
struct Largest<'a>(&'a [WeightedBlock<'a>]);

impl NullaryFnOnce for Largest<'_> {
    type Output = u32;

    #[inline(always)]
    fn call(self) -> u32 {
        // The bits of a magnitude are in the order of the magnitudes, and integers have a maximum that vectorises.
        let magnitude = |value: &f32| value.to_bits() & 0x7fff_ffff;
        self.0.iter().map(|block| block.values.iter().map(magnitude).fold(0, u32::max)).fold(0, u32::max)
    }
}

/// Adds up a tile and appends its mean.
struct Mean<'a> {
    sums: &'a mut Sums,
    columns: &'a [WeightedBlock<'a>],
    total: u64,
    mean: &'a mut Vec<f32>,
}

impl NullaryFnOnce for Mean<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a total weight is at most 2^40, and rounding to f32 is the purpose"
    )]
    fn call(self) {
        let Sums { coarse, fine } = self.sums;
        coarse.fill(0.0);
        fine.fill(0.0);
        let mut length = 0;
        for block in self.columns {
            let weight = f64::from(block.examples.get()) * COARSE;
            length = block.values.len();
            for ((coarse, fine), value) in coarse.iter_mut().zip(fine.iter_mut()).zip(block.values) {
                let product = f64::from(*value) * weight;
                let whole = (product + ROUNDER) - ROUNDER;
                *coarse += whole;
                *fine += ((product - whole) * FINE + ROUNDER) - ROUNDER;
            }
        }
        let (total, resolution) = (self.total as f64, 1.0 / (COARSE * FINE));
        let one = |(coarse, fine): (&f64, &f64)| ((coarse * FINE + fine) / total * resolution) as f32;
        self.mean.extend(coarse.iter().zip(fine.iter()).take(length).map(one));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::update::ExampleCount;

    fn check(updates: &[(u32, Vec<f32>)]) {
        let blocks: Vec<_> = updates
            .iter()
            .map(|(examples, values)| WeightedBlock {
                examples: ExampleCount::new(u64::from(*examples)).unwrap(),
                values,
            })
            .collect();
        let slow = mean_in_integers(&blocks, updates[0].1.len()).unwrap();
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(exact_mean(&blocks).unwrap()), bits(slow));
    }

    #[test]
    fn tiles_of_every_length_and_kind_are_put_together_in_order() {
        for length in [1, TILE - 1, TILE, TILE + 1, 3 * TILE + 5] {
            let values = |seed: usize| (0..length).map(|n| ((n * seed) % 977) as f32 - 400.5).collect();
            let mut updates = vec![(3, values(7)), (5, values(31))];
            check(&updates);
            // The last tile alone is too large for the fast way.
            updates[0].1[length - 1] = 2e9;
            check(&updates);
        }
    }

    /// Any finite value below 2^31 in magnitude, whatever its bits.
    fn any_value() -> impl Strategy<Value = f32> {
        any::<u32>().prop_map(f32::from_bits).prop_filter("usable", |v| v.abs() < crate::model::MAX_MAGNITUDE)
    }

    proptest! {
        #[test]
        fn the_bits_are_those_of_the_integer_sums(
            small in prop::collection::vec((1_u32..100_000, prop::collection::vec(-2.0_f32..2.0, 40)), 1..12),
            tiny in prop::collection::vec((1_u32..9, prop::collection::vec(-1e-15_f32..1e-15, 40)), 1..12),
            wild in prop::collection::vec((1_u32.., prop::collection::vec(any_value(), 40)), 1..12),
        ) {
            check(&small);
            check(&tiny);
            check(&wild);
        }
    }
}
