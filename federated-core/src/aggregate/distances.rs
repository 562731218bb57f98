use pulp::Arch;

use super::{AggregateError, SquaredDistance, WeightedBlock, block_length, squares::squared_distance};

/// Columns of a pair of updates that are worked on at a time: 64 updates of so many are 2 MiB, which stay in a cache
/// near the core while all pairs go through them.
const TILE: usize = 8_192;

/// Squared distances between updates over the columns seen so far: the first pass of a selection.
///
/// The sums are exact, so they have the same bits in whatever blocks the columns are added and in whatever tree the
/// sums of several threads are merged. Half the square of the number of updates times 32 bytes are held. The updates
/// must stand in the same order in every block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistanceSums {
    updates: usize,
    elements: u64,
    columns: u64,
    /// The pairs (0, 1), (0, 2) ... (1, 2) ...
    pairs: Vec<SquaredDistance>,
}

impl DistanceSums {
    /// No column seen yet, of `updates` updates of a model with `elements` elements.
    #[must_use]
    pub fn new(updates: usize, elements: u64) -> Self {
        let pairs = updates * updates.saturating_sub(1) / 2;
        Self { updates, elements, columns: 0, pairs: vec![SquaredDistance::ZERO; pairs] }
    }

    /// Adds a block of columns that was not added before. Weights are ignored.
    ///
    /// # Errors
    /// [`AggregateError`] when the blocks are not one an update, differ in length, or there are more columns than
    /// elements; nothing is added then.
    pub fn add(&mut self, blocks: &[WeightedBlock<'_>]) -> Result<(), AggregateError> {
        let length = block_length(blocks)?;
        self.grow(blocks.len(), length as u64)?;
        let arch = Arch::new();
        for start in (0..length).step_by(TILE) {
            let end = length.min(start + TILE);
            let mut sums = self.pairs.iter_mut();
            for (index, one) in blocks.iter().enumerate() {
                for (other, sum) in blocks[index + 1..].iter().zip(sums.by_ref()) {
                    let distance = squared_distance(arch, &one.values[start..end], &other.values[start..end]);
                    *sum = sum.wrapping_add(distance);
                }
            }
        }
        Ok(())
    }

    /// Adds the sums of other columns of the same updates, for instance another thread's.
    ///
    /// # Errors
    /// [`AggregateError`] when the other sums are of another number of updates or elements, or there are more columns
    /// than elements; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), AggregateError> {
        if other.elements != self.elements {
            return Err(AggregateError::ColumnCount { expected: self.elements, found: other.elements });
        }
        self.grow(other.updates, other.columns)?;
        let sums = self.pairs.iter_mut().zip(&other.pairs);
        sums.for_each(|(sum, other)| *sum = sum.wrapping_add(*other));
        Ok(())
    }

    /// The distances, once every column was added.
    ///
    /// # Errors
    /// [`AggregateError::Empty`] without any update, [`AggregateError::ColumnCount`] when columns are missing.
    pub fn complete(self) -> Result<PairwiseDistances, AggregateError> {
        if self.updates == 0 {
            return Err(AggregateError::Empty);
        }
        if self.columns != self.elements {
            return Err(AggregateError::ColumnCount { expected: self.elements, found: self.columns });
        }
        Ok(PairwiseDistances { updates: self.updates, pairs: self.pairs })
    }

    fn grow(&mut self, updates: usize, columns: u64) -> Result<(), AggregateError> {
        if updates != self.updates {
            return Err(AggregateError::UpdateCount { expected: self.updates, found: updates });
        }
        let total = self.columns.saturating_add(columns);
        if total > self.elements {
            return Err(AggregateError::ColumnCount { expected: self.elements, found: total });
        }
        self.columns = total;
        Ok(())
    }
}

/// The squared distance between every two updates, over all columns. Only [`DistanceSums::complete`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairwiseDistances {
    updates: usize,
    pairs: Vec<SquaredDistance>,
}

impl PairwiseDistances {
    /// How many updates there are, at least 1.
    #[must_use]
    pub const fn updates(&self) -> usize {
        self.updates
    }

    /// The squared distance between two updates, by their places; `None` when there are not so many.
    #[must_use]
    pub fn between(&self, one: usize, other: usize) -> Option<SquaredDistance> {
        let (low, high) = (one.min(other), one.max(other));
        if high >= self.updates {
            return None;
        }
        if low == high {
            return Some(SquaredDistance::ZERO);
        }
        // In front of the row of `low` stand the rows of all before it, each shorter by one than the one before.
        let row = low * (2 * self.updates - low - 1) / 2;
        self.pairs.get(row + high - low - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::update::ExampleCount;

    fn blocks(updates: &[Vec<f32>], range: std::ops::Range<usize>) -> Vec<WeightedBlock<'_>> {
        let examples = ExampleCount::new(1).unwrap();
        updates.iter().map(|values| WeightedBlock { examples, values: &values[range.clone()] }).collect()
    }

    #[expect(clippy::float_cmp, reason = "the results are exact")]
    #[test]
    fn distances_are_found_by_the_places_of_the_updates() {
        let updates = [vec![0.0, 0.0], vec![3.0, 4.0], vec![0.0, 1.0], vec![-6.0, 8.0]];
        let mut sums = DistanceSums::new(4, 2);
        sums.add(&blocks(&updates, 0..2)).unwrap();
        let distances = sums.complete().unwrap();
        let expected = [[0, 25, 1, 100], [25, 0, 18, 97], [1, 18, 0, 85], [100, 97, 85, 0]];
        for (one, row) in expected.iter().enumerate() {
            for (other, expected) in row.iter().enumerate() {
                let found = distances.between(one, other).unwrap().to_f64();
                assert_eq!(found, f64::from(*expected), "{one}, {other}");
            }
        }
        assert_eq!(distances.between(0, 4), None);
    }

    #[test]
    fn no_column_may_be_missing_or_seen_twice() {
        let updates = [vec![0.0; 3], vec![1.0; 3]];
        let mut sums = DistanceSums::new(2, 3);
        sums.add(&blocks(&updates, 0..2)).unwrap();
        let missing = AggregateError::ColumnCount { expected: 3, found: 2 };
        assert_eq!(sums.clone().complete(), Err(missing));
        let before = sums.clone();
        let too_many = Err(AggregateError::ColumnCount { expected: 3, found: 4 });
        assert_eq!(sums.add(&blocks(&updates, 0..2)), too_many);
        assert_eq!(sums.merge(&before), too_many);
        assert_eq!(sums, before, "what is refused changes nothing");
        let other_count = Err(AggregateError::UpdateCount { expected: 2, found: 1 });
        assert_eq!(sums.add(&blocks(&updates[..1], 0..1)), other_count);
        assert!(sums.merge(&DistanceSums::new(2, 4)).is_err());
        assert_eq!(DistanceSums::new(0, 3).complete(), Err(AggregateError::Empty));
    }

    proptest! {
        #[test]
        fn any_cut_and_any_tree_of_merges_gives_the_same_bits(
            updates in prop::collection::vec(prop::collection::vec(-1e6_f32..1e6, 9), 2..7),
            cuts in (0_usize..=9, 0_usize..=9),
        ) {
            let (first, second) = (cuts.0.min(cuts.1), cuts.0.max(cuts.1));
            let sums = |ranges: &[(usize, usize)]| {
                let mut sums = DistanceSums::new(updates.len(), 9);
                ranges.iter().try_for_each(|range| sums.add(&blocks(&updates, range.0..range.1))).unwrap();
                sums
            };
            let whole = sums(&[(0, 9)]);
            let mut merged = sums(&[(second, 9), (0, first)]);
            merged.merge(&sums(&[(first, second)])).unwrap();
            prop_assert_eq!(whole.complete(), merged.complete());
        }
    }
}
