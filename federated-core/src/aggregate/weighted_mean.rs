use super::{AggregateError, Aggregator, LinearAggregator, WeightedBlock, exact_mean::exact_mean};

/// The mean of the updates, each weighted by its number of examples: the aggregation of FedAvg.
///
/// # References
/// McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017,
/// Algorithm 1: `w <- sum n_k/n w_k`.
#[derive(Clone, Copy, Debug, Default)]
pub struct WeightedMean;

impl Aggregator for WeightedMean {
    fn combine(&self, blocks: &[WeightedBlock<'_>]) -> Result<Vec<f32>, AggregateError> {
        exact_mean(blocks)
    }
}

impl LinearAggregator for WeightedMean {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::update::ExampleCount;

    fn blocks(updates: &[(u64, Vec<f32>)], range: std::ops::Range<usize>) -> Vec<WeightedBlock<'_>> {
        updates
            .iter()
            .map(|(examples, values)| WeightedBlock {
                examples: ExampleCount::new(*examples).unwrap(),
                values: &values[range.clone()],
            })
            .collect()
    }

    #[test]
    fn nothing_has_no_mean_and_blocks_must_fit() {
        assert_eq!(WeightedMean.combine(&[]), Err(AggregateError::Empty));
        let updates = [(1, vec![1.0, 2.0]), (1, vec![1.0])];
        let uneven = [blocks(&updates[..1], 0..2)[0], blocks(&updates[1..], 0..1)[0]];
        assert!(matches!(
            WeightedMean.combine(&uneven),
            Err(AggregateError::BlockLength { expected: 2, found: 1 })
        ));
    }

    proptest! {
        #[test]
        fn where_a_model_is_cut_into_blocks_does_not_matter(
            updates in prop::collection::vec((1_u64..1_000_000, prop::collection::vec(-1e3_f32..1e3, 8)), 1..10),
            cut in 0_usize..=8,
        ) {
            let whole = WeightedMean.combine(&blocks(&updates, 0..8)).unwrap();
            let mut parts = WeightedMean.combine(&blocks(&updates, 0..cut)).unwrap();
            parts.extend(WeightedMean.combine(&blocks(&updates, cut..8)).unwrap());
            prop_assert_eq!(whole, parts);
        }
    }
}
