use super::{LocalWork, Strategy};
use crate::{
    aggregate::{Aggregator, WeightedMean},
    ids::RoundNumber,
};

/// Federated averaging: participants train for some epochs, the coordinator averages by number of examples.
///
/// # References
/// McMahan et al., AISTATS 2017, Algorithm 1.
#[derive(Clone, Copy, Debug)]
pub struct FedAvg {
    /// What participants do each round.
    pub work: LocalWork,
}

impl Strategy for FedAvg {
    fn name(&self) -> &'static str {
        "fedavg"
    }

    fn local_work(&self, _: RoundNumber) -> LocalWork {
        self.work
    }

    fn aggregator(&self) -> &dyn Aggregator {
        &WeightedMean
    }
}
