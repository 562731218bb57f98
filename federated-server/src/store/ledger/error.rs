use std::path::PathBuf;

use federated_core::{fault::Fault, ids::JobName, privacy::dp::ledger::KeptError};

use crate::store::StoreError;

/// Why a job's ledger cannot be used. Without it nothing of the job may be released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobLedgerError {
    /// A job that has begun has no ledger.
    #[error(
        "job `{job}`: expected its privacy ledger {path}, found none, so that nobody knows what is spent and \
         nothing is released; restore it from a backup",
        path = .path.display()
    )]
    Missing {
        /// The job.
        job: JobName,
        /// Where its ledger should be.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger is not as it was written, or cannot be gone on with.
    #[error("the privacy ledger of job `{job}`: {source}")]
    Ledger {
        /// The job.
        job: JobName,
        /// What is wrong.
        source: KeptError<StoreError>,
    },
}

impl JobLedgerError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Missing { .. } => Fault::Environment,
            Self::Store(error) => error.fault(),
            Self::Ledger { source, .. } => source.fault(),
        }
    }

    pub(super) fn kept(job: &JobName) -> impl FnOnce(KeptError<StoreError>) -> Self {
        let job = job.clone();
        move |source| Self::Ledger { job, source }
    }
}
