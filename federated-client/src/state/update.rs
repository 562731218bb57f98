use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use federated_core::{
    ids::{Digest, DigestBuilder},
    model::{ModelLayout, bytes_of},
    round::UpdateKind,
    task::TrainTask,
};
use federated_proto::{convert::UpdateHeader, v1};
use prost::Message;

use super::{MaskedUpdate, StateError, files};

/// What the file of an update starts with; a later layout of the file gets another text.
const MAGIC: &[u8; 20] = b"federated.update.v2\n";
/// How many bytes are read or written at a time.
const BLOCK: usize = 512 << 10;
/// Longest header accepted when reading, in bytes: the largest layout stays below.
const MAX_HEADER: usize = 64 << 20;

/// An update that is in the state folder: [`MAGIC`], the digest of the task, the header's length (`u32`, little-endian),
/// the header, and the values as they travel.
#[derive(Clone, Debug)]
pub(crate) struct StoredUpdate {
    path: PathBuf,
    task: Digest,
    header: UpdateHeader,
    values_at: u64,
    /// What travels, unless it was made by an earlier process.
    content: Option<Content>,
}

/// What travels of an update, in memory.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// The values as they are: their memory is their wire form.
    Plain(Arc<Vec<f32>>),
    /// They are encoded.
    Encoded(Bytes),
}

impl Content {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Plain(values) => bytes_of(values),
            Self::Encoded(bytes) => bytes,
        }
    }

    fn to_bytes(&self) -> Bytes {
        match self {
            Self::Plain(values) => Bytes::from_owner(Shared(Arc::clone(values))),
            Self::Encoded(bytes) => bytes.clone(),
        }
    }
}

/// What the coordinator is told of an update beside its values.
pub(super) struct Report {
    pub(super) layout: ModelLayout,
    pub(super) kind: UpdateKind,
}

/// Where an update's values are read from.
pub(crate) enum Values {
    /// From memory.
    Memory(Bytes),
    /// From here on in the update's file.
    File(File),
}

/// Values whose wire form is sent from where they are.
struct Shared(Arc<Vec<f32>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        bytes_of(&self.0)
    }
}

impl StoredUpdate {
    /// Writes an update, in one step.
    ///
    /// It survives the end of the process, whatever ends it. It is not synced: after a failure of the machine the digest
    /// tells whether it is whole, and the task is done anew when it is not.
    pub(super) fn write(
        path: &Path,
        task: &TrainTask,
        report: Report,
        content: Content,
    ) -> Result<Self, StateError> {
        let bytes = content.as_bytes();
        let mut header = UpdateHeader {
            task: task.id.clone(),
            layout: report.layout,
            // Known when all is written: one pass over the values does both.
            content: Digest::of(&[]),
            bytes: bytes.len() as u64,
            kind: report.kind,
        };
        let task = fingerprint(task);
        let values_at = front(&task, &header).len() as u64;
        header.content = files::put_with(path, |file| {
            file.seek(SeekFrom::Start(values_at))?;
            let content = write_and_digest(file, bytes)?;
            let end = file.stream_position()?;
            file.rewind()?;
            file.write_all(&front(&task, &UpdateHeader { content, ..header.clone() }))?;
            file.seek(SeekFrom::Start(end))?;
            Ok(content)
        })?;
        Ok(Self { path: path.to_owned(), task, header, values_at, content: Some(content) })
    }

    /// A masked update, whose file holds nothing but what travels.
    pub(super) fn masked(task: &TrainTask, layout: ModelLayout, masked: &MaskedUpdate) -> Self {
        let header = UpdateHeader {
            task: task.id.clone(),
            layout,
            content: masked.content(),
            bytes: masked.bytes(),
            kind: UpdateKind::Masked,
        };
        let (path, task) = (masked.path().to_owned(), fingerprint(task));
        Self { path, task, header, values_at: 0, content: None }
    }

    /// Whether it answers exactly this task.
    ///
    /// A task of the same name may belong to another run of a job: then seed, model or settings differ, and the update
    /// is not its answer.
    pub(super) fn answers(&self, task: &TrainTask) -> bool {
        self.task == fingerprint(task)
    }

    /// The update at `path`, if it is whole and answers exactly this task.
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
            task: digest.into(),
            header,
            values_at: (MAGIC.len() + 32 + 4 + length) as u64,
            content: None,
        }))
    }

    /// The memory of its values, when nobody else uses it.
    pub(super) fn into_memory(self) -> Option<Vec<f32>> {
        match self.content? {
            Content::Plain(values) => Arc::into_inner(values),
            Content::Encoded(_) => None,
        }
    }

    /// What the coordinator is told before the values.
    pub(crate) const fn header(&self) -> &UpdateHeader {
        &self.header
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What travels of the values, from byte `offset` on.
    pub(crate) fn values_from(&self, offset: u64) -> Result<Values, StateError> {
        if let Some(content) = &self.content {
            let bytes = content.to_bytes();
            let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            return Ok(Values::Memory(bytes.slice(offset..)));
        }
        let open = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.values_at.saturating_add(offset)))?;
            Ok(Values::File(file))
        };
        open().map_err(StateError::read(&self.path))
    }
}

/// The digest of everything that makes a task what it is.
fn fingerprint(task: &TrainTask) -> Digest {
    Digest::of(&v1::TrainTask::new(task, std::time::Duration::ZERO).encode_to_vec())
}

/// What is before the values; as long for every digest.
fn front(task: &Digest, header: &UpdateHeader) -> Vec<u8> {
    let encoded = v1::UpdateHeader::from(header).encode_to_vec();
    let length = u32::try_from(encoded.len()).unwrap_or(u32::MAX).to_le_bytes();
    [MAGIC, &task.as_bytes()[..], &length, &encoded].concat()
}

/// Writes the bytes and gives their digest. A block is still in the processor's cache when it is written.
fn write_and_digest(file: &mut File, bytes: &[u8]) -> io::Result<Digest> {
    let mut hasher = DigestBuilder::new();
    for block in bytes.chunks(BLOCK) {
        hasher.update(block);
        file.write_all(block)?;
    }
    Ok(hasher.finish())
}

fn digest_of_rest(file: &mut File) -> io::Result<Digest> {
    let mut hasher = DigestBuilder::new();
    let mut block = vec![0; BLOCK];
    loop {
        let read = file.read(&mut block)?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(hasher.finish());
        };
        hasher.update(bytes);
    }
}
