use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use federated_core::ids::{JobName, TaskId};

use super::FINISHED;
use crate::store::{StoreError, durable};

/// Files of updates that are no longer needed, for the updates of the job's next round to be written over them.
///
/// Writing over a file costs half the processor's time and a third of the disk's of making a new one and removing the
/// old, and most of an update's cost at the coordinator is its file.
#[derive(Debug)]
pub(super) struct Spares {
    root: PathBuf,
    files: Mutex<BTreeMap<JobName, Vec<PathBuf>>>,
}

impl Spares {
    /// In the folder `spare` of each job's folder under `root`.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, files: Mutex::default() }
    }

    fn folder(&self, job: &JobName) -> PathBuf {
        self.root.join(job.as_str()).join("spare")
    }

    /// Gives a file to be written over under another name.
    pub(super) fn take(&self, job: &JobName) -> Result<Option<PathBuf>, StoreError> {
        self.of(job, |files| Ok(files.pop()))
    }

    /// Keeps the finished updates of an attempt. As many as it had, no more: another round hardly needs more.
    ///
    /// An unfinished one may have a writer, which would then write into another upload.
    pub(super) fn keep(&self, task: &TaskId, attempt: &Path) -> Result<(), StoreError> {
        let folder = self.folder(&task.job);
        self.of(&task.job, |spares| {
            let mut files = list(attempt)?;
            files.retain(|file| file.extension().is_some_and(|extension| extension == FINISHED));
            if files.is_empty() {
                return Ok(());
            }
            fs::create_dir_all(&folder).map_err(StoreError::io("make the folder", &folder))?;
            let most = files.len();
            for file in files {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let spare = folder.join(format!("{}-{}-{name}", task.round, task.attempt));
                fs::rename(&file, &spare).map_err(StoreError::io("rename to", &spare))?;
                spares.push(spare);
            }
            let surplus = spares.len().saturating_sub(most);
            spares.drain(..surplus).try_for_each(|spare| durable::remove(&spare))
        })
    }

    /// Removes the folder of a job, while nobody puts anything into it.
    pub(super) fn remove_job(&self, job: &JobName) -> Result<(), StoreError> {
        let mut jobs = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.remove(job);
        durable::remove(&self.root.join(job.as_str()))
    }

    fn of<T>(
        &self,
        job: &JobName,
        work: impl FnOnce(&mut Vec<PathBuf>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut jobs = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if !jobs.contains_key(job) {
            // What an earlier process left.
            jobs.insert(job.clone(), list(&self.folder(job))?);
        }
        work(jobs.entry(job.clone()).or_default())
    }
}

/// The files in a folder, which may be absent.
fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(StoreError::io("list", folder)),
    }
}
