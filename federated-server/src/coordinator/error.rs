use federated_core::{
    fault::{Fault, ReasonCode},
    ids::JobName,
    privacy::dp::terms::TermsError,
    round::{AdmissionError, AnswerError},
};

use crate::store::StoreError;

/// Why the coordinator does not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoordinatorError {
    /// An update is not wanted.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// An answer in secure aggregation is not wanted.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// There is no such job.
    #[error("there is no job `{job}`; `status` lists the jobs")]
    JobUnknown {
        /// The name.
        job: JobName,
    },
    /// The name is taken.
    #[error("there is a job `{job}` already: give the new job another name")]
    JobExists {
        /// The name.
        job: JobName,
    },
    /// The job has ended.
    #[error("job `{job}` has ended already")]
    JobEnded {
        /// The job.
        job: JobName,
    },
    /// There is nothing to sign the job's privacy ledger with.
    #[error(
        "job `{job}` has a privacy budget, and coordinator.toml no `signing_key` for its ledger: make one with \
         `federated-coordinator signing-key` and name it there"
    )]
    NoSigningKey {
        /// The job.
        job: JobName,
    },
    /// The job's privacy cannot be kept with its model.
    #[error(transparent)]
    Privacy(#[from] TermsError),
    /// The job is not paused.
    #[error("job `{job}` is not paused: there is nothing to resume")]
    JobNotPaused {
        /// The job.
        job: JobName,
    },
    /// The job has not failed.
    #[error("job `{job}` neither failed nor was stopped: there is nothing to retry")]
    JobNotFailed {
        /// The job.
        job: JobName,
    },
    /// The coordinator stops.
    #[error("the coordinator is shutting down; try again when it is back")]
    ShuttingDown,
    /// The disk does not do what was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CoordinatorError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Admission(error) => error.fault(),
            Self::Answer(error) => error.fault(),
            Self::JobUnknown { .. }
            | Self::JobExists { .. }
            | Self::JobEnded { .. }
            | Self::JobNotPaused { .. }
            | Self::NoSigningKey { .. }
            | Self::JobNotFailed { .. } => Fault::Caller,
            Self::Privacy(error) => error.fault(),
            Self::ShuttingDown => Fault::Environment,
            Self::Store(error) => error.fault(),
        }
    }

    /// What the peer is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Admission(error) => error.reason(),
            Self::Answer(error) => error.reason(),
            Self::JobUnknown { .. } => ReasonCode::new("JOB_UNKNOWN"),
            Self::JobExists { .. } => ReasonCode::new("JOB_EXISTS"),
            Self::JobEnded { .. } => ReasonCode::new("JOB_ENDED"),
            Self::JobNotPaused { .. } => ReasonCode::new("JOB_NOT_PAUSED"),
            Self::JobNotFailed { .. } => ReasonCode::new("JOB_NOT_FAILED"),
            Self::NoSigningKey { .. } => ReasonCode::new("SIGNING_KEY_MISSING"),
            Self::Privacy(_) => ReasonCode::new("JOB_INVALID"),
            Self::ShuttingDown => ReasonCode::new("SHUTTING_DOWN"),
            Self::Store(error) => error.reason(),
        }
    }

    /// What a peer may read.
    #[must_use]
    pub fn safe_message(&self) -> String {
        match self {
            Self::Store(error) => error.safe_message(),
            _ => self.to_string(),
        }
    }
}
