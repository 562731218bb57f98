use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::Status;

use super::{internal, store_refused};
use crate::store::StoreError;

/// How many threads work on files at one time. More would not make a disk faster, and each has its memory; an object
/// store answers slowly, so that fewer would leave it idle.
const THREADS: usize = 8;

/// Runs what blocks on files, on a few threads beside those that serve the network.
#[derive(Clone, Debug)]
pub(crate) struct FileWork(Arc<Semaphore>);

impl FileWork {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(THREADS)))
    }

    /// Runs `work` when it is its turn. Once begun it is done to its end, even if nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, FileError> {
        // The semaphore is never closed.
        let place = self.0.acquire_owned().await;
        let work = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(place);
            result
        });
        match work.await {
            Ok(result) => result.map_err(FileError::Store),
            Err(error) => {
                tracing::error!(%error, "file work ended unexpectedly");
                Err(FileError::Ended)
            }
        }
    }
}

/// Why file work was not done.
#[derive(Debug)]
pub(super) enum FileError {
    Store(StoreError),
    /// It panicked, or the runtime stops.
    Ended,
}

impl From<FileError> for Status {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Store(error) => store_refused(&error),
            FileError::Ended => internal(),
        }
    }
}
