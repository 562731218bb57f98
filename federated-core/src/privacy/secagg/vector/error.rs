use super::LEAST_VALUE_BITS;
use crate::{fault::Fault, metrics::MetricsError, privacy::dp::distributed::DistributedError};

const fn with_noise(noise: bool) -> &'static str {
    if noise { "with noise" } else { "without noise" }
}

/// Why a vector cannot be planned, encoded or decoded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// The bound of the values is of no use.
    #[error("expected a finite clip above 0, found {found}")]
    Clip {
        /// The clip.
        found: f32,
    },
    /// The bound of a metric is of no use.
    #[error("metric `{name}`: expected a finite bound above 0, found {found}")]
    MetricBound {
        /// The metric.
        name: String,
        /// The bound.
        found: f64,
    },
    /// The metrics cannot be named so, or are too many.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A sum of fewer than two is no secret.
    #[error("expected at least 2 participants at most, found {found}")]
    Participants {
        /// The most participants.
        found: u32,
    },
    /// The sum of so many participants leaves too few bits for each.
    #[error(
        "a modulus of {modulus} bits leaves {found} bits for the values of each of {participants} participants, \
         so that their sum cannot wrap; expected at least {LEAST_VALUE_BITS}: take a larger modulus, or fewer \
         participants"
    )]
    ValueBits {
        /// Bits of the modulus.
        modulus: u32,
        /// The most participants.
        participants: u32,
        /// Bits that would be left.
        found: u32,
    },
    /// A participant has more examples than the plan has room for.
    #[error(
        "expected at most {most} examples, found {found}: the job's largest example count must be raised"
    )]
    Examples {
        /// The largest example count of the plan.
        most: u32,
        /// The participant's.
        found: u32,
    },
    /// With noise all vectors must be alike.
    #[error(
        "expected 1 example at most and no metrics where noise is shared out, found {examples} and {metrics}: what has no noise \
         would tell"
    )]
    NotAlike {
        /// The largest example count.
        examples: u32,
        /// How many metrics there are.
        metrics: usize,
    },
    /// Whether noise is added is agreed on by all.
    #[error("expected a vector {}, found one {}", with_noise(*.planned), with_noise(!*.planned))]
    NoiseMismatch {
        /// Whether the plan has noise.
        planned: bool,
    },
    /// The shares cannot be made.
    #[error(transparent)]
    Noise(#[from] DistributedError),
    /// The sum of the shares hides less than it should.
    #[error("expected noise that hides like a multiplier of {expected}, found {found}: use a larger modulus")]
    Narrow {
        /// What is planned.
        expected: f64,
        /// What the shares come to.
        found: f64,
    },
    /// There are no such elements in the vector, or the bytes are not whole elements.
    #[error("expected {expected} bytes of elements, found {found}")]
    Length {
        /// Bytes expected.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The sum is said to be of no participant, or of more than the plan is for.
    #[error("expected a sum over 1 to {most} participants, found {found}")]
    Survivors {
        /// The most participants.
        most: u32,
        /// Participants in the sum.
        found: u32,
    },
    /// The participants together cannot have so many examples: a mask is left in the sum, or one of them lied.
    #[error(
        "expected a sum of {least} to {most} examples, found {found}: a mask is left in it, or was not used"
    )]
    ImplausibleExamples {
        /// The fewest.
        least: u64,
        /// The most.
        most: u64,
        /// The sum.
        found: u64,
    },
    /// An element of the sum is larger than that of so many participants can be.
    #[error(
        "element {element}: expected a sum of at most {most} in magnitude: a mask is left in it, or was not used"
    )]
    Implausible {
        /// The element of the vector, or the first of those that were decoded together with it.
        element: u64,
        /// The largest magnitude.
        most: u64,
    },
}

impl VectorError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Clip { .. }
            | Self::MetricBound { .. }
            | Self::Metrics(_)
            | Self::Participants { .. }
            | Self::ValueBits { .. }
            | Self::NotAlike { .. }
            | Self::Narrow { .. }
            | Self::Examples { .. } => Fault::Caller,
            Self::Noise(error) => error.fault(),
            Self::Length { .. } | Self::Survivors { .. } | Self::NoiseMismatch { .. } => Fault::Bug,
            Self::ImplausibleExamples { .. } | Self::Implausible { .. } => Fault::Peer,
        }
    }
}
