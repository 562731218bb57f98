use crate::{fault::Fault, round::RoundError};

/// Why entries are not the log of a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no entry, or the first one does not start a job.
    #[error("expected a log that begins with the start of a job, found {found}")]
    NoStart {
        /// What there is instead.
        found: &'static str,
    },
    /// A job is started twice.
    #[error("entry {entry}: expected one start of the job, found another")]
    StartedTwice {
        /// Which entry, from 0.
        entry: u64,
    },
    /// The round machine makes no sense of an entry.
    #[error("entry {entry}: {source}")]
    Round {
        /// Which entry, from 0.
        entry: u64,
        /// Why.
        source: RoundError,
    },
}

impl ReplayError {
    /// Whose fault it is: nobody writes such a log.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Bug
    }
}
