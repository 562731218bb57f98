use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use federated_core::ids::{Digest, JobName, TaskId};

use super::{Spool, SpoolWriter, SpooledUpdate, UploadKey, check_no_more, check_offset};
use crate::store::{StoreError, durable, positioned, writeback::Writeback};

/// Every file begins with the digest of the content that it holds or will hold.
const HEADER: u64 = 32;

/// Updates as files: `JOB/ROUND-ATTEMPT/NAME.part` while they come, `NAME.update` when they are finished.
///
/// What [`Spool::durable`] counts is in the file system: a coordinator that is killed loses none of it. A machine that
/// loses power loses what had not reached the disk yet, up to about 16 MiB of each upload under way; what was
/// finished is on the disk.
#[derive(Debug)]
pub struct LocalSpool {
    root: PathBuf,
}

impl LocalSpool {
    /// Uses a folder, making it if need be. No other coordinator may use it meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let root = root.into();
        durable::folder(&root)?;
        Ok(Self { root })
    }

    fn attempt_folder(&self, task: &TaskId) -> PathBuf {
        self.root.join(task.job.as_str()).join(format!("{}-{}", task.round, task.attempt))
    }

    fn partial_path(&self, upload: UploadKey<'_>) -> PathBuf {
        self.attempt_folder(upload.task).join(format!("{}.part", upload.participant))
    }

    fn update_path(&self, upload: UploadKey<'_>) -> PathBuf {
        self.attempt_folder(upload.task).join(format!("{}.update", upload.participant))
    }
}

impl Spool for LocalSpool {
    fn durable(&self, upload: UploadKey<'_>) -> Result<u64, StoreError> {
        match open_holding(&self.update_path(upload), upload.content)? {
            Some(finished) => Ok(finished.bytes),
            None => {
                Ok(open_holding(&self.partial_path(upload), upload.content)?.map_or(0, |file| file.bytes))
            }
        }
    }

    fn resume(&self, upload: UploadKey<'_>, offset: u64) -> Result<Box<dyn SpoolWriter>, StoreError> {
        let finished = open_holding(&self.update_path(upload), upload.content)?;
        let durable =
            finished.as_ref().map_or_else(|| self.durable(upload), |finished| Ok(finished.bytes))?;
        check_offset(durable, offset)?;
        if offset != 0
            && let Some(finished) = finished
        {
            return Ok(Box::new(Finished(finished)));
        }
        let path = self.partial_path(upload);
        let opened = if offset == 0 {
            durable::folder(&self.attempt_folder(upload.task))?;
            begin(&path, upload.content)
        } else {
            OpenOptions::new().read(true).append(true).open(&path)
        };
        let file = Arc::new(opened.map_err(StoreError::io("open", &path))?);
        let target = self.update_path(upload);
        Ok(Box::new(LocalWriter { path, target, file, bytes: offset, writeback: Writeback::default() }))
    }

    fn open(&self, upload: UploadKey<'_>) -> Result<Box<dyn SpooledUpdate>, StoreError> {
        let path = self.update_path(upload);
        if let Some(update) = open_holding(&path, upload.content)? {
            return Ok(Box::new(update));
        }
        // To say why: it is not there, or it is another one.
        File::open(&path).map_err(StoreError::io("open", &path))?;
        let (expected, found) = (format!("content {}", upload.content), "another content".to_owned());
        Err(StoreError::Damaged { path, expected, found })
    }

    fn remove_attempt(&self, task: &TaskId) -> Result<(), StoreError> {
        durable::remove(&self.attempt_folder(task))
    }

    fn remove_job(&self, job: &JobName) -> Result<(), StoreError> {
        durable::remove(&self.root.join(job.as_str()))
    }
}

fn begin(path: &Path, content: Digest) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    file.write_all(content.as_bytes())?;
    Ok(file)
}

/// Opens a file if it is there and is of this content.
fn open_holding(path: &Path, content: Digest) -> Result<Option<LocalUpdate>, StoreError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("open", path)(error)),
    };
    let mut header = [0; 32];
    match file.read_exact(&mut header) {
        Ok(()) if Digest::from(header) == content => {}
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            return Err(StoreError::io("read", path)(error));
        }
        _ => return Ok(None),
    }
    let length = file.metadata().map_err(StoreError::io("look at", path))?.len();
    Ok(Some(LocalUpdate { path: path.to_owned(), file, bytes: length.saturating_sub(HEADER) }))
}

fn read_exact_at(file: &File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
    // An offset near the top of the range must not come out below the header.
    let offset = offset.checked_add(HEADER).ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
    offset
        .and_then(|offset| positioned::read_exact_at(file, buffer, offset))
        .map_err(StoreError::io("read", path))
}

#[derive(Debug)]
struct LocalWriter {
    path: PathBuf,
    target: PathBuf,
    file: Arc<File>,
    bytes: u64,
    writeback: Writeback,
}

impl SpoolWriter for LocalWriter {
    fn location(&self) -> PathBuf {
        self.path.clone()
    }

    fn read_back(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        read_exact_at(&self.file, &self.path, buffer, offset)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        (&*self.file)
            .write_all(bytes)
            .and_then(|()| self.writeback.wrote(&self.file, bytes.len()))
            .map_err(StoreError::io("write", &self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn durable(&self) -> u64 {
        self.bytes
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        let Self { path, target, file, bytes, writeback } = *self;
        writeback.finish(&file).map_err(StoreError::io("sync", &path))?;
        let found = file.metadata().map_err(StoreError::io("look at", &path))?.len();
        // An earlier writer's sync that failed late empties the file under this one.
        if found != bytes + HEADER {
            let (expected, found) = (format!("{} bytes", bytes + HEADER), found.to_string());
            return Err(StoreError::Damaged { path, expected, found });
        }
        durable::publish(&path, &target)
    }

    fn discard(self: Box<Self>) -> Result<(), StoreError> {
        durable::remove(&self.path)
    }
}

/// The writer of an upload that is finished already.
#[derive(Debug)]
struct Finished(LocalUpdate);

impl SpoolWriter for Finished {
    fn location(&self) -> PathBuf {
        self.0.path.clone()
    }

    fn read_back(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        check_no_more(self.0.bytes, bytes)
    }

    fn durable(&self) -> u64 {
        self.0.bytes
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        // The process that renamed the file may have died before the new name was durable.
        self.0.path.parent().map_or(Ok(()), durable::sync_folder)
    }

    fn discard(self: Box<Self>) -> Result<(), StoreError> {
        durable::remove(&self.0.path)
    }
}

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
mod tests {
    use super::*;
    use crate::store::spool::conformance;

    #[test]
    fn files_keep_the_laws() {
        let folder = tempfile::tempdir().unwrap();
        conformance::check(|| Box::new(LocalSpool::open(folder.path().join("a/b")).unwrap()));
    }
}
