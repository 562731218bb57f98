use std::{
    fs::File,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

/// After how many bytes a sync begins. Smaller steps cost more system calls, larger ones leave more to the last sync.
const STEP: u64 = 2 << 20;
/// A sync needs next to no stack.
const STACK: usize = 64 << 10;

/// Syncs what was written while more is coming, so that the last sync has little left to wait for.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    unsynced: u64,
    running: Option<JoinHandle<io::Result<()>>>,
}

impl Writeback {
    /// Is told that bytes were written, and now and then begins a sync on another thread; one at a time.
    pub(super) fn wrote(&mut self, file: &Arc<File>, bytes: usize) -> io::Result<()> {
        self.unsynced += bytes as u64;
        if self.unsynced < STEP || self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return Ok(());
        }
        self.join()?;
        self.unsynced = 0;
        let file = Arc::clone(file);
        // Where no thread can be had, the last sync does all the work.
        self.running = thread::Builder::new().stack_size(STACK).spawn(move || sync(&file)).ok();
        Ok(())
    }

    /// Returns when all bytes are on the disk.
    pub(super) fn finish(mut self, file: &File) -> io::Result<()> {
        self.join()?;
        sync(file)
    }

    fn join(&mut self) -> io::Result<()> {
        let Some(running) = self.running.take() else { return Ok(()) };
        running.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs ended unexpectedly")))
    }
}

/// The system reports a failed write to the disk once, and a later sync of the same bytes then succeeds without them.
/// So a file that could not be synced is emptied: nobody can take it for whole.
///
/// # References
/// Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
fn sync(file: &File) -> io::Result<()> {
    let synced = file.sync_data();
    if synced.is_err()
        && let Err(error) = file.set_len(0)
    {
        tracing::error!(%error, "an upload that could not be synced cannot be emptied either");
    }
    synced
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_sync_begins_with_each_step_and_the_last_one_covers_the_rest() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let mut writeback = Writeback::default();
        let bytes = vec![1; usize::try_from(STEP).unwrap() / 2];
        for begun in [false, true, true] {
            (&*file).write_all(&bytes).unwrap();
            writeback.wrote(&file, bytes.len()).unwrap();
            assert_eq!(writeback.running.is_some(), begun);
        }
        writeback.finish(&file).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_sync_that_fails_in_the_background_is_not_forgotten() {
        // A pipe cannot be synced.
        let (_reader, writer) = io::pipe().unwrap();
        let file = Arc::new(File::from(std::os::fd::OwnedFd::from(writer)));
        let mut writeback = Writeback::default();
        writeback.wrote(&file, usize::try_from(STEP).unwrap()).unwrap();
        assert!(writeback.join().is_err());
    }
}
