use std::{
    io,
    path::{Path, PathBuf},
};

use federated_core::{
    compression::CompressionError,
    fault::Fault,
    ids::Digest,
    model::ModelError,
    privacy::secagg::{MaskError, VectorError},
};

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another participant uses the folder.
    #[error("the state folder {path} is in use by another participant: stop that one, or set another `state`", path = .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A session of secure aggregation of this task, or of a later one of its job, was begun before.
    #[error(
        "a session of {found} was begun before, expected a later one than that: its secrets were in memory only"
    )]
    SessionBegun {
        /// What was noted.
        found: String,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness for noise")]
    Randomness,
    /// Reading failed.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Writing failed.
    #[error("cannot write {path}: {source}; check the free space and the owner of the state folder", path = .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bytes of a model are not those that were asked for.
    #[error("expected content with digest {expected}, found {found}")]
    Digest {
        /// What was asked for.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
    /// The bytes are no model of the layout.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The update cannot be encoded as its task asks.
    #[error(transparent)]
    Encoding(#[from] CompressionError),
    /// The update cannot be masked.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// The update has no place in the vector that is masked.
    #[error(transparent)]
    Vector(#[from] VectorError),
}

impl StateError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::InUse { .. } => Fault::Caller,
            Self::SessionBegun { .. } => Fault::Peer,
            Self::Read { .. } | Self::Write { .. } | Self::Randomness => Fault::Environment,
            Self::Digest { .. } => Fault::Peer,
            Self::Model(error) => error.fault(),
            Self::Mask(error) => error.fault(),
            Self::Vector(error) => error.fault(),
            // The values are this site's own.
            Self::Encoding(error) => match error.fault() {
                Fault::Peer => Fault::Caller,
                fault => fault,
            },
        }
    }

    /// Whether there is nothing to read, which is no fault of the folder.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}
