//! Updates as files.
//!
//! Read in this order: [`LocalSpool`] knows where each file is, `header` what it begins with, `writer` writes one,
//! `spares` keeps those that are no longer needed to be written over.

mod header;
mod spares;
mod writer;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use federated_core::ids::{Digest, JobName, TaskId};

use self::{
    header::Header,
    spares::Spares,
    writer::{Finished, LocalWriter, Paths},
};
use super::{Spool, SpoolWriter, SpooledUpdate, UploadKey, check_offset};
use crate::store::{StoreError, durable, group_sync::GroupSync, positioned};

/// What the name of a finished update ends with.
const FINISHED: &str = "update";

/// Updates as files: `JOB/ROUND-ATTEMPT/NAME.part` while they come, `NAME.update` when they are finished, and in
/// `JOB/spare` until the job's next round writes over them.
///
/// What [`Spool::durable`] counts is in the file system: a coordinator that is killed loses none of it. A machine that
/// loses power may lose some of what came since the last sync, up to about 4 MiB of each upload under way: the digest
/// tells then, and the upload begins again. What was finished is on the disk.
#[derive(Debug)]
pub struct LocalSpool {
    root: PathBuf,
    spares: Spares,
    /// Of the attempts whose updates are coming.
    syncs: Mutex<BTreeMap<TaskId, Arc<GroupSync>>>,
}

impl LocalSpool {
    /// Uses a folder, making it if need be. No other coordinator may use it meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        durable::folder(&root)?;
        Ok(Self { spares: Spares::new(root.clone()), syncs: Mutex::default(), root })
    }

    fn attempt_folder(&self, task: &TaskId) -> PathBuf {
        self.root.join(task.job.as_str()).join(format!("{}-{}", task.round, task.attempt))
    }

    fn syncs(&self) -> MutexGuard<'_, BTreeMap<TaskId, Arc<GroupSync>>> {
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paths(&self, upload: UploadKey<'_>) -> Paths {
        let folder = Arc::clone(self.syncs().entry(upload.task.clone()).or_default());
        Paths { partial: self.partial_path(upload), finished: self.update_path(upload), folder }
    }

    fn partial_path(&self, upload: UploadKey<'_>) -> PathBuf {
        self.attempt_folder(upload.task).join(format!("{}.part", upload.participant))
    }

    fn update_path(&self, upload: UploadKey<'_>) -> PathBuf {
        self.attempt_folder(upload.task).join(format!("{}.{FINISHED}", upload.participant))
    }
}

impl Spool for LocalSpool {
    fn durable(&self, upload: UploadKey<'_>) -> Result<u64, StoreError> {
        match open_holding(self.update_path(upload), upload.content)? {
            Some(finished) => Ok(finished.bytes),
            None => Ok(open_holding(self.partial_path(upload), upload.content)?.map_or(0, |file| file.bytes)),
        }
    }

    fn resume(&self, upload: UploadKey<'_>, offset: u64) -> Result<Box<dyn SpoolWriter>, StoreError> {
        let (paths, content) = (self.paths(upload), upload.content);
        if offset == 0 {
            durable::folder(&self.attempt_folder(upload.task))?;
            // The file of an upload that is begun again is as good as another.
            let spare = if paths.partial.exists() { None } else { self.spares.take(&upload.task.job)? };
            return Ok(Box::new(LocalWriter::begin(paths, content, spare.as_deref())?));
        }
        let finished = open_holding(paths.finished.clone(), content)?;
        let durable =
            finished.as_ref().map_or_else(|| self.durable(upload), |finished| Ok(finished.bytes))?;
        check_offset(durable, offset)?;
        Ok(match finished {
            Some(finished) => Box::new(Finished(finished)),
            None => Box::new(LocalWriter::resume(paths, Header { content, received: offset })?),
        })
    }

    fn open(&self, upload: UploadKey<'_>) -> Result<Box<dyn SpooledUpdate>, StoreError> {
        let path = self.update_path(upload);
        if let Some(update) = open_holding(path.clone(), upload.content)? {
            return Ok(Box::new(update));
        }
        // To say why: it is not there, or it is another one.
        File::open(&path).map_err(StoreError::io("open", &path))?;
        let (expected, found) = (format!("content {}", upload.content), "another content".to_owned());
        Err(StoreError::Damaged { path, expected, found })
    }

    fn remove_attempt(&self, task: &TaskId) -> Result<(), StoreError> {
        self.syncs().remove(task);
        let folder = self.attempt_folder(task);
        self.spares.keep(task, &folder)?;
        durable::remove(&folder)
    }

    fn remove_job(&self, job: &JobName) -> Result<(), StoreError> {
        self.syncs().retain(|task, _| task.job != *job);
        self.spares.remove_job(job)
    }
}

/// Opens a file if it is there and is of this content.
fn open_holding(path: PathBuf, content: Digest) -> Result<Option<LocalUpdate>, StoreError> {
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("open", path)(error)),
    };
    let look = || Ok((Header::read(&file)?, file.metadata()?.len()));
    let (header, length) = look().map_err(StoreError::io("read", &path))?;
    Ok(header.filter(|header| header.content == content).map(|header| {
        // A file that was cut short has less than it says.
        let bytes = header.received.min(length.saturating_sub(Header::BYTES));
        LocalUpdate { path, file, bytes }
    }))
}

fn read_exact_at(file: &File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
    // An offset near the top of the range must not come out below the header.
    let offset = offset.checked_add(Header::BYTES).ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
    offset
        .and_then(|offset| positioned::read_exact_at(file, buffer, offset))
        .map_err(StoreError::io("read", path))
}

/// A finished update, or as much as there is of one.
#[derive(Debug)]
struct LocalUpdate {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl SpooledUpdate for LocalUpdate {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        read_exact_at(&self.file, &self.path, buffer, offset)
    }
}

#[cfg(test)]
mod tests;
