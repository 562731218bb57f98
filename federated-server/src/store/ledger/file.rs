use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use federated_core::privacy::dp::ledger::Append;

use crate::store::{StoreError, durable};

/// A ledger's file, open for its end and locked.
///
/// The state folder has a lock of its own; this one also keeps a coordinator out that lost its lease and does not know yet.
#[derive(Debug)]
pub(super) struct LedgerFile {
    path: PathBuf,
    file: File,
}

/// The file of a ledger that has no first line yet.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

impl LedgerFile {
    /// An empty file under its unfinished name, in place of whatever a crash may have left there.
    pub(super) fn fresh(path: &Path) -> Result<Self, StoreError> {
        path.parent().map_or(Ok(()), durable::folder)?;
        let unfinished = unfinished(path);
        durable::remove(&unfinished)?;
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.append(true).create_new(true).open(&unfinished);
        Self::locked(path, file.map_err(StoreError::io("make", &unfinished))?)
    }

    /// The file, if it is there.
    pub(super) fn existing(path: &Path) -> Result<Option<Self>, StoreError> {
        match OpenOptions::new().append(true).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            file => {
                let ledger = Self::locked(path, file.map_err(StoreError::io("open", path))?)?;
                // What an earlier process wrote and this one reads is on disk before anything relies on it.
                ledger.file.sync_all().map_err(StoreError::io("sync", path))?;
                Ok(Some(ledger))
            }
        }
    }

    fn locked(path: &Path, file: File) -> Result<Self, StoreError> {
        let path = path.to_owned();
        match file.try_lock() {
            Ok(()) => Ok(Self { path, file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", path)(error)),
        }
    }
}

impl Append for LedgerFile {
    type Error = StoreError;

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_all());
        written.map_err(StoreError::io("write to the end of", &self.path))
    }
}
