use crate::{
    fault::Fault,
    privacy::dp::{AccountantError, Delta, QuantityError},
};

/// Why a job's privacy makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TermsError {
    /// There is no such place.
    #[error("expected \"local\", \"central\" or \"distributed\", found \"{found}\"")]
    Placement {
        /// The text.
        found: String,
    },
    /// Updates are summed once a round.
    #[error("expected 1 step a round where updates are summed, found {found}")]
    Steps {
        /// How many.
        found: u32,
    },
    /// Sampling that nobody enforces amplifies nothing.
    #[error(
        "expected a sampling rate of 1 where updates are summed, found {found}: who is asked follows from the job's seed, \
         which is no secret"
    )]
    Sampled {
        /// The rate.
        found: f64,
    },
    /// Replacing one is not counted with sampling.
    #[error(
        "expected add-remove adjacency with a sampling rate below 1, found replace-one: use add-remove, or a rate of 1"
    )]
    ReplaceSampled,
    /// Noise that is shared out is only counted by its Rényi divergences.
    #[error("expected the accountant \"rdp\" for noise that is shared out, found \"{found}\"")]
    Accountant {
        /// The accountant.
        found: &'static str,
    },
    /// Delta is too small for noise that is a multiple of something.
    #[error(
        "expected a delta of at least {needed:.1e} for a model of this size and so many noisy sums, found {delta}: raise it, or \
         lower epsilon or the number of sums"
    )]
    Grid {
        /// The least delta.
        needed: f64,
        /// The delta.
        delta: Delta,
    },
    /// A number is out of range.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// The budget buys nothing.
    #[error(transparent)]
    Accounting(#[from] AccountantError),
}

impl TermsError {
    /// Whose fault it is: terms are written by the caller.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}
