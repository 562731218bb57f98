use std::{
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{StoreError, durable};

/// Syncs a folder for everyone who waits for it at the same time.
///
/// A sync makes durable what was there when it began. So whoever comes while one is under way waits for the next one,
/// and so do all others who come meanwhile: many updates that end together cost two syncs, not one each.
#[derive(Debug, Default)]
pub(super) struct GroupSync {
    syncs: Mutex<Syncs>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Syncs {
    begun: u64,
    /// The last one that went well.
    done: u64,
    running: bool,
}

impl GroupSync {
    /// Returns when everything that is in the folder now is durable there. One value serves one folder.
    pub(super) fn sync(&self, folder: &Path) -> Result<(), StoreError> {
        self.run(|| durable::sync_folder(folder))
    }

    fn run<E>(&self, sync: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut syncs = self.lock();
        let covering = syncs.begun + 1;
        while syncs.running {
            syncs = self.ended.wait(syncs).unwrap_or_else(PoisonError::into_inner);
        }
        if syncs.done >= covering {
            return Ok(());
        }
        syncs.begun += 1;
        syncs.running = true;
        let this = syncs.begun;
        drop(syncs);
        let synced = sync();
        let mut syncs = self.lock();
        syncs.running = false;
        if synced.is_ok() {
            syncs.done = this;
        }
        self.ended.notify_all();
        synced
    }

    fn lock(&self) -> MutexGuard<'_, Syncs> {
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicU64, Ordering::SeqCst},
        thread,
    };

    use super::*;

    #[test]
    fn whoever_returns_is_covered_by_a_sync_that_began_after_the_call() {
        let (group, clock, covered) = (GroupSync::default(), AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let called = clock.fetch_add(1, SeqCst);
                        let sync = || {
                            let began = clock.fetch_add(1, SeqCst);
                            thread::yield_now();
                            covered.store(began, SeqCst);
                            Ok::<_, Infallible>(())
                        };
                        group.run(sync).unwrap();
                        assert!(covered.load(SeqCst) > called);
                    }
                });
            }
        });
    }

    #[test]
    fn a_sync_that_failed_covers_nobody() {
        let group = GroupSync::default();
        assert_eq!(group.run(|| Err("disk")), Err("disk"));
        let mut again = false;
        group
            .run(|| {
                again = true;
                Ok::<_, Infallible>(())
            })
            .unwrap();
        assert!(again);
    }
}
