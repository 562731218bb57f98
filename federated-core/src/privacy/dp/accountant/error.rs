use super::Accountant;
use crate::{
    fault::Fault,
    privacy::dp::{Delta, Epsilon, NoiseMultiplier, SamplingRate},
};

/// Why an accountant has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountantError {
    /// The exact accountant was asked about sampled rounds.
    #[error(
        "expected rounds in which everyone takes part (sampling rate 1), found sampling rate {found}: \
         ask the accountant \"pld\" or \"rdp\""
    )]
    Sampled {
        /// The rate.
        found: SamplingRate,
    },
    /// No epsilon holds with so small a delta.
    #[error(
        "the accountant \"{accountant}\" finds no finite epsilon for delta {delta}: raise delta or the noise"
    )]
    Unbounded {
        /// Who was asked.
        accountant: Accountant,
        /// The delta.
        delta: Delta,
    },
    /// Not an order of a Rényi divergence.
    #[error("expected orders that are finite, above 1 and rising, found {found}")]
    Order {
        /// The order.
        found: f64,
    },
    /// Not a divergence.
    #[error("expected a Rényi divergence of 0 or more at order {order}, found {found}")]
    Divergence {
        /// The order.
        order: f64,
        /// What was given.
        found: f64,
    },
    /// Two curves over different orders cannot be added.
    #[error("expected two curves over the same orders, found {left} and {right} of them, or different ones")]
    OrdersDiffer {
        /// Orders of the one.
        left: usize,
        /// Orders of the other.
        right: usize,
    },
    /// Even the most noise leaves too large an epsilon.
    #[error(
        "no noise multiplier up to {most} brings epsilon down to {target} with delta {delta}: by the accountant \
         \"{accountant}\" {most} gives {found}; raise epsilon or delta, or ask another accountant"
    )]
    Unreachable {
        /// Who was asked.
        accountant: Accountant,
        /// The epsilon that was wanted.
        target: Epsilon,
        /// The delta.
        delta: Delta,
        /// The most noise that was tried.
        most: NoiseMultiplier,
        /// The epsilon it gives; infinite: none.
        found: f64,
    },
    /// A single round is more than the budget.
    #[error(
        "the budget of epsilon {budget} with delta {delta} does not last for one round, which spends {found}: \
         raise the noise or the budget"
    )]
    NoRound {
        /// The budget.
        budget: Epsilon,
        /// The delta.
        delta: Delta,
        /// What one round spends; infinite: no bound.
        found: f64,
    },
}

impl AccountantError {
    /// Whose fault it is: what is counted and with what is configured.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}
