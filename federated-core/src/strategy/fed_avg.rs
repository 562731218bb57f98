use super::{LocalWork, Strategy};
use crate::{
    aggregate::{Aggregation, AggregationRule},
    ids::RoundNumber,
};

/// Federated averaging: participants train for some epochs, the coordinator averages by number of examples, or combines
/// by a rule that withstands liars.
///
/// # References
/// McMahan et al., AISTATS 2017, Algorithm 1.
#[derive(Clone, Copy, Debug)]
pub struct FedAvg {
    /// What participants do each round.
    pub work: LocalWork,
    /// How the updates become one; the paper's is the mean.
    pub aggregation: AggregationRule,
}

impl Strategy for FedAvg {
    fn name(&self) -> &'static str {
        "fedavg"
    }

    fn local_work(&self, _: RoundNumber) -> LocalWork {
        self.work
    }

    fn aggregation(&self) -> Aggregation<'_> {
        self.aggregation.aggregation()
    }
}
