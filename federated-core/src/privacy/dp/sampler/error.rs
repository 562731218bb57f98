use crate::fault::Fault;

/// Why there is no noise.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// Not a variance.
    #[error(
        "expected a variance above 0 (a standard deviation of at least 2^-20) and at most 2^56, found {found}"
    )]
    Variance {
        /// The number.
        found: f64,
    },
    /// A value that is NaN, infinite, or so large that its sum with the noise has no place in 64 bits.
    #[error(
        "expected finite values of at most {most} in magnitude, found {found} at {place}: clip before noise is added"
    )]
    Value {
        /// The largest magnitude.
        most: f64,
        /// The value.
        found: f64,
        /// Which value it is, from 0.
        place: u64,
    },
    /// A vector of another length than the noise is for.
    #[error("expected {expected} values, found {found}")]
    Length {
        /// How many were expected.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

impl SamplerError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Variance { .. } | Self::Value { .. } => Fault::Caller,
            Self::Length { .. } => Fault::Bug,
        }
    }
}
