use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    StoreError, durable,
    models::{ModelFiles, UNFINISHED},
    spool::{self, Spool},
};
use crate::config::SpoolConfig;

/// The state folder of one coordinator.
///
/// All methods block: call them where blocking is allowed.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Tells temporary files of this process apart.
    numbers: AtomicU64,
    spool: Box<dyn Spool>,
    model_files: ModelFiles,
    /// Held as long as the store lives; the system releases it when the process ends, however it ends.
    _lock: File,
    /// After the lock: whoever waits for it finds the folder free.
    released: DropGuard,
}

impl Store {
    /// Opens the folder, making it if need be. Updates are kept in it too.
    ///
    /// # Errors
    /// As [`Store::open_with`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::open_with(root, &SpoolConfig::State)
    }

    /// Opens the folder, making it if need be, and the spool that keeps updates. An object store is reached through the
    /// Tokio runtime that this is called in, from a thread of it where blocking is allowed.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another coordinator uses the folder, [`StoreError::Io`] when it cannot be written,
    /// [`StoreError::ObjectStore`] when the object store cannot be used.
    pub fn open_with(root: impl Into<PathBuf>, spool: &SpoolConfig) -> Result<Self, StoreError> {
        let root = root.into();
        durable::folder(&root.join("models"))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(StoreError::io("make", &path))?;
        match lock.try_lock() {
            Ok(()) => {
                let released = CancellationToken::new().drop_guard();
                let spool = spool::open(spool, &root)?;
                let store = Self {
                    root,
                    numbers: AtomicU64::new(0),
                    spool,
                    model_files: ModelFiles::default(),
                    _lock: lock,
                    released,
                };
                store.remove_leftovers()?;
                Ok(store)
            }
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: root }),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock", path)(error)),
        }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Is cancelled when the store is gone and another process, or this one, may open the folder.
    pub(crate) fn released(&self) -> CancellationToken {
        self.released.token().clone()
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Removes models that an earlier process did not finish, or no longer needed.
    fn remove_leftovers(&self) -> Result<(), StoreError> {
        let folder = self.root.join("models");
        for entry in fs::read_dir(&folder).map_err(StoreError::io("list", &folder))? {
            let path = entry.map_err(StoreError::io("list", &folder))?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                durable::remove(&path)?;
            }
        }
        Ok(())
    }

    pub(super) const fn model_files(&self) -> &ModelFiles {
        &self.model_files
    }

    pub(super) fn spool(&self) -> &dyn Spool {
        self.spool.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_coordinators_cannot_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Store::open(folder.path()).unwrap();
        assert!(matches!(Store::open(folder.path()), Err(StoreError::Locked { .. })));
        drop(first);
        assert!(Store::open(folder.path()).is_ok());
    }
}
