use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    sync::Arc,
};

use federated_core::ids::Digest;

use super::{LocalUpdate, header::Header, read_exact_at};
use crate::store::{
    StoreError, durable,
    group_sync::GroupSync,
    positioned,
    spool::{SpoolWriter, SpooledUpdate, check_no_more},
    writeback::Writeback,
};

/// Where an upload is.
#[derive(Debug)]
pub(super) struct Paths {
    /// While it is under way.
    pub(super) partial: PathBuf,
    /// When it is finished.
    pub(super) finished: PathBuf,
    /// Makes both names durable.
    pub(super) folder: Arc<GroupSync>,
}

/// The writer of an upload under way.
#[derive(Debug)]
pub(super) struct LocalWriter {
    paths: Paths,
    file: Arc<File>,
    header: Header,
    writeback: Writeback,
}

impl LocalWriter {
    /// Begins an upload. A file that is to be written over gets its name once it says that none of the content is there.
    pub(super) fn begin(paths: Paths, content: Digest, spare: Option<&Path>) -> Result<Self, StoreError> {
        let path = &paths.partial;
        let from = spare.unwrap_or(path);
        let begin = || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(from)?;
            Header::begin(&file, content)?;
            if from != path {
                fs::rename(from, path)?;
            }
            Ok(file)
        };
        let file = begin().map_err(StoreError::io("begin", path))?;
        Ok(Self::new(paths, file, Header { content, received: 0 }))
    }

    /// Goes on with an upload.
    pub(super) fn resume(paths: Paths, header: Header) -> Result<Self, StoreError> {
        let path = &paths.partial;
        let file =
            OpenOptions::new().read(true).write(true).open(path).map_err(StoreError::io("open", path))?;
        Ok(Self::new(paths, file, header))
    }

    fn new(paths: Paths, file: File, header: Header) -> Self {
        Self { paths, file: Arc::new(file), header, writeback: Writeback::default() }
    }
}

impl SpoolWriter for LocalWriter {
    fn location(&self) -> PathBuf {
        self.paths.partial.clone()
    }

    fn read_back(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        read_exact_at(&self.file, &self.paths.partial, buffer, offset)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let end = self.header.received + bytes.len() as u64;
        positioned::write_all_at(&self.file, bytes, Header::BYTES + self.header.received)
            .and_then(|()| Header::count(&self.file, end))
            .and_then(|()| self.writeback.wrote(&self.file, bytes.len()))
            .map_err(StoreError::io("write", &self.paths.partial))?;
        self.header.received = end;
        Ok(())
    }

    fn durable(&self) -> u64 {
        self.header.received
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        let Self { paths: Paths { partial: path, finished, folder }, file, header, writeback } = *self;
        // The file may have held a longer update.
        file.set_len(Header::BYTES + header.received).map_err(StoreError::io("cut", &path))?;
        writeback.finish(&file).map_err(StoreError::io("sync", &path))?;
        // An earlier writer's sync that failed late empties the file under this one.
        let found = Header::read(&file).map_err(StoreError::io("read", &path))?;
        if found != Some(header) {
            let (expected, found) = (format!("{header:?}"), format!("{found:?}"));
            return Err(StoreError::Damaged { path, expected, found });
        }
        fs::rename(&path, &finished).map_err(StoreError::io("rename to", &finished))?;
        finished.parent().map_or(Ok(()), |parent| folder.sync(parent))
    }

    fn discard(self: Box<Self>) -> Result<(), StoreError> {
        durable::remove(&self.paths.partial)
    }
}

/// The writer of an upload that is finished already.
#[derive(Debug)]
pub(super) struct Finished(pub(super) LocalUpdate);

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
