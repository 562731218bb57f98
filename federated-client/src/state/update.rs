use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use federated_core::{
    ids::{Digest, DigestBuilder},
    task::TrainTask,
    update::ClientUpdate,
};
use federated_proto::{convert::UpdateHeader, v1};
use prost::Message;

use super::{StateError, files};

/// What the file of an update starts with; a later layout of the file gets another text.
const MAGIC: &[u8; 20] = b"federated.update.v1\n";
/// Longest header accepted when reading, in bytes: the largest layout stays below.
const MAX_HEADER: usize = 64 << 20;

/// An update that is in the state folder: [`MAGIC`], the digest of the task, the header's length (`u32`, little-endian),
/// the header, and the values as they travel.
#[derive(Clone, Debug)]
pub(crate) struct StoredUpdate {
    path: PathBuf,
    header: UpdateHeader,
    values_at: u64,
}

impl StoredUpdate {
    /// Writes an update, durably and in one step.
    pub(super) fn write(path: &Path, task: &TrainTask, update: &ClientUpdate) -> Result<Self, StateError> {
        let values = update.delta.to_le_bytes();
        let header = UpdateHeader {
            task: task.id.clone(),
            layout: update.delta.layout().clone(),
            content: Digest::of(&values),
            examples: update.examples,
            metrics: update.metrics.clone(),
        };
        let encoded = v1::UpdateHeader::from(&header).encode_to_vec();
        let length = u32::try_from(encoded.len()).unwrap_or(u32::MAX).to_le_bytes();
        let fingerprint = fingerprint(task);
        files::replace(path, &[MAGIC, fingerprint.as_bytes(), &length, &encoded, &values])?;
        Ok(Self { path: path.to_owned(), header, values_at: (MAGIC.len() + 32 + 4 + encoded.len()) as u64 })
    }

    /// The update at `path`, if it is whole and answers exactly this task.
    ///
    /// A task of the same name may belong to another run of a job: then seed, model or settings differ, and the update
    /// is not its answer.
    pub(super) fn find(path: &Path, task: &TrainTask) -> Result<Option<Self>, StateError> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(StateError::read(path))?,
        };
        let found = Self::read(&mut file, path, task);
        match found {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            found => found.map_err(StateError::read(path)),
        }
    }

    fn read(file: &mut File, path: &Path, task: &TrainTask) -> io::Result<Option<Self>> {
        let (mut magic, mut digest, mut length) = ([0; MAGIC.len()], [0; 32], [0; 4]);
        file.read_exact(&mut magic)?;
        file.read_exact(&mut digest)?;
        file.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if magic != *MAGIC || Digest::from(digest) != fingerprint(task) || length > MAX_HEADER {
            return Ok(None);
        }
        let mut encoded = vec![0; length];
        file.read_exact(&mut encoded)?;
        let header = v1::UpdateHeader::decode(encoded.as_slice())
            .ok()
            .and_then(|wire| UpdateHeader::try_from(wire).ok());
        let Some(header) = header else {
            return Ok(None);
        };
        let whole = header.task == task.id && digest_of_rest(file)? == header.content;
        Ok(whole.then(|| Self {
            path: path.to_owned(),
            header,
            values_at: (MAGIC.len() + 32 + 4 + length) as u64,
        }))
    }

    /// What the coordinator is told before the values.
    pub(crate) const fn header(&self) -> &UpdateHeader {
        &self.header
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The values from byte `offset` on.
    pub(crate) fn values_from(&self, offset: u64) -> Result<File, StateError> {
        let open = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.values_at.saturating_add(offset)))?;
            Ok(file)
        };
        open().map_err(StateError::read(&self.path))
    }
}

/// The digest of everything that makes a task what it is.
fn fingerprint(task: &TrainTask) -> Digest {
    Digest::of(&v1::TrainTask::new(task, std::time::Duration::ZERO).encode_to_vec())
}

fn digest_of_rest(file: &mut File) -> io::Result<Digest> {
    let mut hasher = DigestBuilder::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block)?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hasher.finish());
        };
        hasher.update(bytes);
    }
}
