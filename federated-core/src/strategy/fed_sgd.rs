use std::num::NonZeroU32;

use super::{BatchSize, LocalWork, Strategy};
use crate::{
    aggregate::{Aggregation, AggregationRule},
    ids::RoundNumber,
};

/// Federated gradient descent: each participant takes one step on all of its examples, so that the average is one step
/// of gradient descent on all examples of the federation. A rule that withstands liars may take the place of the average.
///
/// # References
/// McMahan et al., AISTATS 2017, section 2: FedSGD is FedAvg with E = 1 and B = infinity.
#[derive(Clone, Copy, Debug)]
pub struct FedSgd {
    /// Step size, finite and above 0.
    pub learning_rate: f32,
    /// How the updates become one; the paper's is the mean.
    pub aggregation: AggregationRule,
}

impl Strategy for FedSgd {
    fn name(&self) -> &'static str {
        "fedsgd"
    }

    fn local_work(&self, _: RoundNumber) -> LocalWork {
        LocalWork { epochs: NonZeroU32::MIN, batch: BatchSize::All, learning_rate: self.learning_rate }
    }

    fn aggregation(&self) -> Aggregation<'_> {
        self.aggregation.aggregation()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{aggregate::WeightedBlock, update::ExampleCount};

    /// One step of least squares on y = w x: the gradient over all examples is the weighted mean of the sites'.
    #[test]
    fn one_round_is_one_gradient_step_on_all_examples() {
        let strategy = FedSgd { learning_rate: 0.1, aggregation: AggregationRule::Mean };
        let sites: [&[(f32, f32)]; 2] = [&[(1.0, 2.0), (2.0, 3.0), (3.0, 7.0)], &[(4.0, 1.0)]];
        let gradient = |w: f32, data: &[(f32, f32)]| {
            data.iter().map(|(x, y)| 2.0 * x * (w * x - y)).sum::<f32>() / data.len() as f32
        };
        let start = 0.5;
        let deltas: Vec<[f32; 1]> = sites.iter().map(|site| [-0.1 * gradient(start, site)]).collect();
        let blocks: Vec<_> = sites
            .iter()
            .zip(&deltas)
            .map(|(site, delta)| WeightedBlock {
                examples: ExampleCount::new(site.len() as u64).unwrap(),
                values: delta,
            })
            .collect();
        let mut model = [start];
        let Aggregation::Linear(mean) = strategy.aggregation() else { panic!("the mean is linear") };
        strategy.apply(&mut model, &mean.combine(&blocks).unwrap());
        let pooled = sites.concat();
        assert!((model[0] - (start - 0.1 * gradient(start, &pooled))).abs() < 1e-6);
        assert_eq!(strategy.local_work(RoundNumber::FIRST).batch, BatchSize::All);
    }
}
