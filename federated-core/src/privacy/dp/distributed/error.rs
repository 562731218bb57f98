use crate::{fault::Fault, privacy::dp::SamplerError};

/// Why noise cannot be shared out.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistributedError {
    /// Nobody would add noise.
    #[error(
        "expected at least 1 survivor, and a fraction of liars from 0 to below 1; found {survivors} and {liars}"
    )]
    Contributors {
        /// The least number of survivors.
        survivors: u32,
        /// The fraction that may lie about its noise.
        liars: f64,
    },
    /// A number that must be above zero and finite is not.
    #[error("expected {what} above 0 and finite, found {found}")]
    NotPositive {
        /// What it is.
        what: &'static str,
        /// The number.
        found: f64,
    },
    /// Not a probability that rounding may be repeated with.
    #[error("expected a bias of rounding (beta) from 0 to below 1, such as 0.6065, found {found}")]
    Beta {
        /// The number.
        found: f64,
    },
    /// The noise on integers is so narrow that the sum of it is no Gaussian.
    #[error(
        "expected a share of noise of at least {least} steps, found {found}: use a larger modulus or more noise"
    )]
    CoarseShare {
        /// The least.
        least: f64,
        /// The standard deviation of one participant's share.
        found: f64,
    },
    /// The modulus cannot hold the sum.
    #[error("expected a modulus above 2^{least_bits} for {participants} participants, found 2^{bits}")]
    Modulus {
        /// The least bits.
        least_bits: u32,
        /// The bits.
        bits: u32,
        /// The participants.
        participants: u32,
    },
    /// A block of a rotation is a power of two of places.
    #[error("expected a block of a power of two up to 2^30, found {found}")]
    Block {
        /// The block.
        found: usize,
    },
    /// A vector is not as long as said.
    #[error("expected {expected} values, found {found}")]
    Length {
        /// How many were expected.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The vector is longer than the norm it is said to be clipped to.
    #[error("expected a vector of norm at most {expected} steps, found {found}: clip it first")]
    NotClipped {
        /// The norm, in steps.
        expected: f64,
        /// What it is.
        found: f64,
    },
    /// The noise cannot be made.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
}

impl DistributedError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Length { .. } | Self::NotClipped { .. } => Fault::Bug,
            Self::Sampler(error) => error.fault(),
            _ => Fault::Caller,
        }
    }
}

/// The number, when it is above zero and finite.
pub(super) fn positive(what: &'static str, found: f64) -> Result<f64, DistributedError> {
    if found > 0.0 && found.is_finite() {
        Ok(found)
    } else {
        Err(DistributedError::NotPositive { what, found })
    }
}
