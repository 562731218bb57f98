use std::{io, path::PathBuf};

use federated_core::{
    aggregate::AggregateError,
    checkpoint::CheckpointError,
    fault::{Fault, ReasonCode},
    ids::{Digest, JobName},
    job::ReplayError,
    privacy::{
        dp::SamplerError,
        secagg::{MaskError, VectorError},
    },
};
use federated_proto::WireError;

/// Why the coordinator's disk does not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An operation of the file system or of the object store failed.
    #[error("cannot {action} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file, folder or object.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another coordinator uses the folder.
    #[error("{path} is in use by another coordinator: stop that one, or give this one a state folder of its own", path = .path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// An entry of a job's log cannot be written or read.
    #[error("an entry in the log of job `{job}`: {source}")]
    Record {
        /// The job.
        job: JobName,
        /// Why.
        source: CheckpointError,
    },
    /// What is in a job's log is not the story of a job.
    #[error(
        "the log of job `{job}`: {source}; restore a backup, and report this: no version should write it"
    )]
    Log {
        /// The job.
        job: JobName,
        /// Why.
        source: ReplayError,
    },
    /// The journal does not do what was asked.
    #[error("cannot {action} the journal {place}: {source}")]
    Journal {
        /// What was tried.
        action: &'static str,
        /// The file or the database.
        place: String,
        /// Why it failed.
        source: Box<sqlx::Error>,
    },
    /// The journal is not what was written.
    #[error(
        "the journal {place}: expected {expected}, found {found}: it was changed from outside; restore a backup"
    )]
    JournalDamaged {
        /// The file or the database, and the log in it.
        place: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The journal lacks what was written last.
    #[error(
        "the journal {path} was written {commits} times, but {witness} says {noted}: the file or its `-wal` was cut short, \
         damaged or replaced by an older one; restore a backup, or remove {witness} to go on with what is there",
        path = .path.display(), witness = .witness.display()
    )]
    JournalLost {
        /// The journal.
        path: PathBuf,
        /// How often it was written by what is in it.
        commits: u64,
        /// How often it was written.
        noted: u64,
        /// The file that says so.
        witness: PathBuf,
    },
    /// A later version of the software has been at the journal.
    #[error(
        "the journal {place} has schema version {found}, which this software does not know: run the version that wrote it"
    )]
    JournalNewer {
        /// The file or the database.
        place: String,
        /// The version.
        found: i64,
    },
    /// Another coordinator has taken over.
    #[error(
        "another coordinator has taken over the journal {place}: this one stops; start it again to have it stand by"
    )]
    LeaseLost {
        /// The database.
        place: String,
    },
    /// There is no such model.
    #[error("there is no model {digest}: ask for models named in tasks only")]
    UnknownModel {
        /// The content asked for.
        digest: Digest,
    },
    /// A file is not what its name or record says.
    #[error("{path}: expected {expected}, found {found}: the file was changed from outside", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Something is where nothing may be.
    #[error("{path}: expected nothing, found something: a copy is not written over what is there; choose another place", path = .path.display())]
    Occupied {
        /// Where.
        path: PathBuf,
    },
    /// A spooled upload went bad between two connections, or was bad from the start.
    #[error("{path}: the upload does not have the content announced; upload it again from the start", path = .path.display())]
    SpoolDamaged {
        /// The file.
        path: PathBuf,
    },
    /// The object store of the configuration cannot be used.
    #[error(
        "`spool.url` {url}: cannot {action}: {source}; check that the bucket exists, that the environment has credentials \
         which may list, read, write and delete in it, and that this machine reaches it"
    )]
    ObjectStore {
        /// The address in the configuration.
        url: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// What a peer sent cannot be stored.
    #[error(transparent)]
    Content(#[from] WireError),
    /// The updates cannot be combined.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// Masks cannot be taken away.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// Noise cannot be made.
    #[error("the noise on the mean: {0}")]
    Noise(#[from] SamplerError),
    /// Noise is calibrated to a mean, and something else was to be made.
    #[error("expected the mean where noise is added, found another rule")]
    NoiseWithout,
    /// The sum of masked updates is not what it must be.
    #[error(transparent)]
    Vector(#[from] VectorError),
}

impl StoreError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Io { .. }
            | Self::Journal { .. }
            | Self::JournalDamaged { .. }
            | Self::JournalLost { .. }
            | Self::JournalNewer { .. }
            | Self::LeaseLost { .. }
            | Self::Locked { .. }
            | Self::Damaged { .. }
            | Self::Occupied { .. }
            | Self::SpoolDamaged { .. }
            | Self::ObjectStore { .. } => Fault::Environment,
            Self::Record { source, .. } => source.fault(),
            Self::Log { source, .. } => source.fault(),
            Self::UnknownModel { .. } => Fault::Peer,
            Self::Content(error) => error.fault(),
            Self::Aggregate(error) => error.fault(),
            Self::Mask(error) => error.fault(),
            Self::Vector(error) => error.fault(),
            Self::Noise(error) => error.fault(),
            Self::NoiseWithout => Fault::Bug,
        }
    }

    /// What a peer is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::UnknownModel { .. } => ReasonCode::new("MODEL_UNKNOWN"),
            Self::Content(error) => error.reason(),
            Self::Io { .. }
            | Self::Journal { .. }
            | Self::JournalDamaged { .. }
            | Self::JournalLost { .. }
            | Self::JournalNewer { .. }
            | Self::LeaseLost { .. }
            | Self::Locked { .. }
            | Self::Damaged { .. }
            | Self::Occupied { .. }
            | Self::SpoolDamaged { .. }
            | Self::ObjectStore { .. }
            | Self::Log { .. }
            | Self::Record { .. } => ReasonCode::new("STORAGE_UNAVAILABLE"),
            Self::Aggregate(_) | Self::Mask(_) | Self::Vector(_) | Self::Noise(_) | Self::NoiseWithout => {
                ReasonCode::new("INTERNAL")
            }
        }
    }

    /// What a peer may read: nothing of this machine's paths.
    #[must_use]
    pub fn safe_message(&self) -> String {
        match self {
            Self::UnknownModel { .. } | Self::Content(_) => self.to_string(),
            _ => "the coordinator cannot use its storage at present; try again later".to_owned(),
        }
    }

    pub(super) fn journal(action: &'static str, place: &str) -> impl FnOnce(sqlx::Error) -> Self {
        let place = place.to_owned();
        move |source| Self::Journal { action, place, source: Box::new(source) }
    }

    pub(super) fn record(job: &JobName, source: CheckpointError) -> Self {
        Self::Record { job: job.clone(), source }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
