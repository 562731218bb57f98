use std::collections::BTreeSet;

use super::{AggregateError, Aggregator, PairwiseDistances, WeightedBlock, exact_mean::exact_mean};
use crate::update::ExampleCount;

/// Which updates count: what the first pass of a selection leaves for the second.
///
/// It combines the updates chosen, and those alone, by their plain mean: every one of them has the same say. It cannot
/// be made without the distances between all updates over all columns, so that the passes come in order:
///
/// ```compile_fail
/// # use federated_core::aggregate::Chosen;
/// let chosen = Chosen { indices: vec![3] };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    indices: Vec<usize>,
}

impl Chosen {
    /// Chooses the updates at these places.
    ///
    /// # Errors
    /// [`AggregateError::Choice`] when none is chosen or there is no update at a place.
    pub fn new(
        distances: &PairwiseDistances,
        indices: impl IntoIterator<Item = usize>,
    ) -> Result<Self, AggregateError> {
        let updates = distances.updates();
        // A set: no update counts twice.
        let indices: BTreeSet<usize> = indices.into_iter().collect();
        match indices.last() {
            Some(last) if *last < updates => Ok(Self { indices: indices.into_iter().collect() }),
            last => Err(AggregateError::Choice { updates, found: last.copied().unwrap_or(updates) }),
        }
    }

    /// The places of the updates chosen, in ascending order; at least one.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// Picks what belongs to the updates chosen out of `all`, which holds one thing for each update, in their order: a
    /// name, a file, a block.
    pub fn pick<T>(&self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut wanted = self.indices.iter().peekable();
        let chosen = |(index, thing)| wanted.next_if_eq(&&index).map(|_| thing);
        all.into_iter().enumerate().filter_map(chosen).collect()
    }
}

impl Aggregator for Chosen {
    /// Combines one block of columns of the updates chosen, one block each: see [`Chosen::pick`].
    fn combine(&self, blocks: &[WeightedBlock<'_>]) -> Result<Vec<f32>, AggregateError> {
        if !blocks.is_empty() && blocks.len() != self.indices.len() {
            return Err(AggregateError::UpdateCount { expected: self.indices.len(), found: blocks.len() });
        }
        let mut alike = blocks.to_vec();
        alike.iter_mut().for_each(|block| block.examples = ExampleCount::ONE);
        exact_mean(&alike)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::DistanceSums;

    fn distances(updates: usize) -> PairwiseDistances {
        DistanceSums::new(updates, 0).complete().unwrap()
    }

    #[test]
    fn what_is_picked_belongs_to_the_updates_chosen() {
        let chosen = Chosen::new(&distances(5), [4, 1, 1]).unwrap();
        assert_eq!(chosen.indices(), [1, 4]);
        assert_eq!(chosen.pick(["a", "b", "c", "d", "e"]), ["b", "e"]);
    }

    #[test]
    fn nothing_and_nobody_cannot_be_chosen() {
        assert_eq!(Chosen::new(&distances(5), []), Err(AggregateError::Choice { updates: 5, found: 5 }));
        assert_eq!(Chosen::new(&distances(5), [0, 7]), Err(AggregateError::Choice { updates: 5, found: 7 }));
    }

    #[test]
    fn the_mean_is_plain_and_only_of_those_chosen() {
        let chosen = Chosen::new(&distances(3), [0, 2]).unwrap();
        let block =
            |examples, values| WeightedBlock { examples: ExampleCount::new(examples).unwrap(), values };
        let blocks = [block(1, &[1.0, 2.0][..]), block(1, &[90.0, 90.0]), block(1_000, &[3.0, -4.0])];
        assert_eq!(chosen.combine(&chosen.pick(blocks)).unwrap(), [2.0, -1.0]);
        let all = Err(AggregateError::UpdateCount { expected: 2, found: 3 });
        assert_eq!(chosen.combine(&blocks), all);
    }
}
