use super::Fraction;
use crate::fault::Fault;

/// Why no session is safe with these numbers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// The fraction is out of range or has too many places.
    #[error("expected a fraction between 0 and 1 with at most six places, found {found}")]
    Fraction {
        /// The fraction.
        found: f64,
    },
    /// The sum of two says as much as either of them.
    #[error(
        "expected at least {least} participants, found {found}: of two, each learns the other's update from the sum"
    )]
    TooFew {
        /// Fewest participants.
        least: u32,
        /// Participants there are.
        found: u32,
    },
    /// So many would have to stay that not as many may drop out as should.
    #[error(
        "of {participants} participants {corrupt} may be corrupt, so {quorum} must stay to the end, \
         and {dropouts} may drop out: more than there are; {}",
        possible(*least)
    )]
    Infeasible {
        /// Participants there are.
        participants: u32,
        /// Of these, how many may be corrupt.
        corrupt: u32,
        /// Of these, how many may drop out.
        dropouts: u32,
        /// How many must stay.
        quorum: u32,
        /// The least number of participants, from this one up to 255, for which these fractions are possible.
        least: Option<u32>,
    },
    /// No ring bears such fractions.
    #[error(
        "more than 255 participants need gamma + 2 delta of at most 0.9, found gamma {gamma} and delta {delta}: \
         lower one of them"
    )]
    RingFractions {
        /// The fraction that may be corrupt.
        gamma: Fraction,
        /// The fraction that may drop out.
        delta: Fraction,
    },
    /// Every participant would need more neighbours than a secret can have shares.
    #[error(
        "{participants} participants with gamma {gamma} and delta {delta} need more than {most} neighbours each, and a \
         secret has at most 255 shares: lower gamma or delta, or form groups of at most 255 participants"
    )]
    RingDegree {
        /// Participants there are.
        participants: u32,
        /// The fraction that may be corrupt.
        gamma: Fraction,
        /// The fraction that may drop out.
        delta: Fraction,
        /// Most neighbours on a ring.
        most: u32,
    },
}

fn possible(least: Option<u32>) -> String {
    least.map_or_else(
        || "gamma + 2 delta must be below 1, and lower for few participants".to_owned(),
        |least| format!("these fractions need at least {least} participants"),
    )
}

impl ParameterError {
    /// Whose fault it is: all of this stands in the job's configuration, or follows from it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}
