use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

/// Between two looks at the open files.
const PACE: Duration = Duration::from_millis(50);

/// Looks at what a process of this machine takes, as Linux tells.
#[derive(Debug)]
pub(super) struct Watch {
    folder: PathBuf,
    most_files: Arc<AtomicUsize>,
    /// Ends with this value.
    _looks: JoinSet<()>,
}

impl Watch {
    /// Looks at the process with this number from here on.
    pub(super) fn begin(process: u32) -> Self {
        let folder = PathBuf::from(format!("/proc/{process}"));
        let most_files = Arc::<AtomicUsize>::default();
        let (files, most) = (folder.join("fd"), Arc::clone(&most_files));
        let mut looks = JoinSet::new();
        looks.spawn(async move {
            let mut pace = tokio::time::interval(PACE);
            loop {
                pace.tick().await;
                most.fetch_max(fs::read_dir(&files).map_or(0, Iterator::count), Ordering::Relaxed);
            }
        });
        Self { folder, most_files, _looks: looks }
    }

    /// The most files that it was seen to have open.
    pub(super) fn most_files(&self) -> usize {
        self.most_files.load(Ordering::Relaxed)
    }

    /// The most memory that it has had, in bytes.
    pub(super) fn peak_memory(&self) -> Result<u64> {
        let path = self.folder.join("status");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("expected VmHWM in kB")?;
        Ok(kib.trim().parse::<u64>()? << 10)
    }
}
