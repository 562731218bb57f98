use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use federated_core::ids::{Digest, DigestBuilder};

use super::{StateError, files};

/// How many bytes are read at a time when the beginning of a download is digested.
const BLOCK: usize = 1 << 20;

/// A model that is being downloaded: its bytes go to `<digest>.part`, which becomes `<digest>` when all are there and
/// the digest is right.
///
/// The content is named by its digest, so two that write the same file write the same bytes at the same places.
pub(crate) struct PartialModel {
    file: File,
    path: PathBuf,
    digest: Digest,
    hasher: DigestBuilder,
    length: u64,
}

impl PartialModel {
    /// Goes on with the bytes of an earlier download, or starts with none.
    pub(super) fn open(path: &Path, digest: Digest, total: u64) -> Result<Self, StateError> {
        let part = files::with_suffix(path, ".part");
        let mut options = OpenOptions::new();
        let mut file = files::private(options.read(true).write(true).create(true).truncate(false))
            .open(&part)
            .map_err(StateError::write(&part))?;
        let there = file.metadata().map_err(StateError::read(&part))?.len();
        let mut hasher = DigestBuilder::new();
        let length = if there > total {
            file.set_len(0).map_err(StateError::write(&part))?;
            0
        } else {
            digest_of(&mut file, &mut hasher, there).map_err(StateError::read(&part))?
        };
        let path = path.to_owned();
        Ok(Self { file, path, digest, hasher, length })
    }

    /// How many bytes are there: where the download goes on.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// Adds the next bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.file.write_all(bytes).map_err(StateError::write(&self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Checks the digest and puts the model in place. A download with the wrong digest is thrown away.
    pub(crate) fn finish(self) -> Result<(), StateError> {
        let (part, expected) = (files::with_suffix(&self.path, ".part"), self.digest);
        let found = self.hasher.finish();
        if found != expected {
            files::remove(&part)?;
            return Err(StateError::Digest { expected, found });
        }
        let place = || {
            self.file.sync_all()?;
            fs::rename(&part, &self.path)?;
            files::sync_parent(&self.path)
        };
        place().map_err(StateError::write(&self.path))
    }
}

/// Digests the first `length` bytes and leaves the file at their end.
fn digest_of(file: &mut File, hasher: &mut DigestBuilder, length: u64) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut block = vec![0; BLOCK];
    let mut beginning = file.take(length);
    let mut done = 0;
    loop {
        let read = beginning.read(&mut block)?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(done);
        };
        hasher.update(bytes);
        done += read as u64;
    }
}
