use std::{
    io,
    path::{Path, PathBuf},
};

use federated_core::{
    fault::Fault,
    privacy::dp::{
        QuantityError, SamplerError,
        ledger::{KeptError, LedgerError, OverBudget},
    },
};

use crate::signing::SigningError;

/// A file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}; check the free space and the owner of the folder", path = .path.display())]
#[non_exhaustive]
pub struct WriteError {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// Why noise cannot be made: only a mistake of this library is the cause.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// A number is out of range.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// The sampler refuses.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
}

/// Why this site's ledger cannot be used. Without it nothing may be released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SiteLedgerError {
    /// Another process writes it.
    #[error("expected {path} for this process alone, found it in use by another participant; stop that one", path = .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The key is there, the ledger is not.
    #[error(
        "expected the ledger {ledger}, as its key {key} is there, found none, so that nobody knows what is spent and nothing \
         is released; restore it from a backup",
        ledger = .ledger.display(), key = .key.display()
    )]
    LedgerMissing {
        /// Where the ledger should be.
        ledger: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// The ledger is there, the key is not.
    #[error(
        "expected the key {key}, as the ledger {ledger} is there, found none, so that the ledger cannot be written and \
         nothing is released; restore it from a backup",
        ledger = .ledger.display(), key = .key.display()
    )]
    KeyMissing {
        /// The ledger.
        ledger: PathBuf,
        /// Where its key should be.
        key: PathBuf,
    },
    /// There is neither: nothing was ever spent here.
    #[error(
        "expected a ledger in {folder}, found none; it is made when a participant with a table [privacy] starts",
        folder = .folder.display()
    )]
    Absent {
        /// The folder.
        folder: PathBuf,
    },
    /// The file holds no key.
    #[error("expected {path} to hold 64 hexadecimal digits, found something else; restore it from a backup", path = .path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no randomness for a key.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The limit does not pay for it.
    #[error(transparent)]
    OverBudget(OverBudget),
    /// The number of records that the site says it has is not there.
    #[error("expected {path} to hold a number from 1 to 4294967295, found something else: restore it from a backup", path = .path.display())]
    Count {
        /// The file.
        path: PathBuf,
    },
    /// Noise cannot be made.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// The ledger is not as it was written, or cannot be gone on with.
    #[error("{path}: {source}", path = .path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeptError<WriteError>,
    },
}

impl SiteLedgerError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::InUse { .. } | Self::Absent { .. } | Self::OverBudget(_) => Fault::Caller,
            Self::Noise(_) => Fault::Bug,
            Self::Signing(error) => error.fault(),
            Self::Ledger { source, .. } => source.fault(),
            _ => Fault::Environment,
        }
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write(WriteError { path, source })
    }

    pub(super) fn kept(path: &Path) -> impl FnOnce(KeptError<WriteError>) -> Self {
        let path = path.to_owned();
        move |source| Self::Ledger { path, source }
    }

    pub(super) fn ledger(path: &Path) -> impl FnOnce(LedgerError) -> Self {
        let kept = Self::kept(path);
        move |error| kept(error.into())
    }
}
