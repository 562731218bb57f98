//! Where updates are kept, safe, until they are combined.
//!
//! Read in this order: [`Spool`] is what a place must do, [`SpoolWriter`] is an upload under way, [`SpooledUpdate`] one
//! that is finished. `local` keeps them in files. `object` keeps them in S3, GCS or Azure (cargo feature `object-store`). `conformance` are the laws that
//! every place must keep, for whoever writes another (cargo feature `test-util`).

#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
mod local;
#[cfg(feature = "object-store")]
mod object;

use std::{
    fmt::Debug,
    path::{Path, PathBuf},
};

use federated_core::ids::{Digest, DigestBuilder, JobName, ParticipantName, TaskId};

use super::StoreError;
use crate::config::SpoolConfig;

pub use local::LocalSpool;
#[cfg(feature = "object-store")]
pub use object::ObjectSpool;

/// Which upload: whose, for which attempt, of what content.
///
/// The content's digest fixes its length, so the length is no part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadKey<'a> {
    /// The attempt that the update is for.
    pub task: &'a TaskId,
    /// Who sends it.
    pub participant: &'a ParticipantName,
    /// What all of its bytes will be.
    pub content: Digest,
}

/// A place for updates that outlives the coordinator's process.
///
/// A participant has one upload under way per attempt: beginning one of another content discards what there was of the
/// unfinished ones. A finished update stays until a later one of the same participant is finished, or it is removed.
///
/// All methods block: call them where blocking is allowed, never on a thread that runs asynchronous tasks. At most one
/// writer of a participant and attempt may be in use at a time; the caller sees to it.
pub trait Spool: Debug + Send + Sync {
    /// How many bytes of this upload are here: those that a coordinator which was killed finds when it starts again.
    ///
    /// All of them if it is finished; none if what is here is of another content.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the place cannot be looked at.
    fn durable(&self, upload: UploadKey<'_>) -> Result<u64, StoreError>;

    /// Goes on with an upload at `offset`, which is what [`Spool::durable`] says, or 0 to begin afresh.
    ///
    /// A finished upload can be resumed at its end: its writer takes no further bytes and finishes at once. So a
    /// coordinator that died between making an update durable and saying so does not ask for it again.
    ///
    /// # Errors
    /// [`StoreError::Content`] for any other offset, [`StoreError::Io`] when the place cannot be written.
    fn resume(&self, upload: UploadKey<'_>, offset: u64) -> Result<Box<dyn SpoolWriter>, StoreError>;

    /// Opens a finished update.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it is not the one that was finished, [`StoreError::Io`] when it cannot be read or
    /// is not there.
    fn open(&self, upload: UploadKey<'_>) -> Result<Box<dyn SpooledUpdate>, StoreError>;

    /// Removes all updates of an attempt, finished or not; that there are none is fine.
    ///
    /// # Errors
    /// [`StoreError::Io`] when they cannot be removed.
    fn remove_attempt(&self, task: &TaskId) -> Result<(), StoreError>;

    /// Removes all updates of a job, finished or not; that there are none is fine.
    ///
    /// # Errors
    /// [`StoreError::Io`] when they cannot be removed.
    fn remove_job(&self, job: &JobName) -> Result<(), StoreError>;
}

/// An upload under way. Dropped without [`SpoolWriter::finish`], what is durable of it stays.
///
/// After an error of [`SpoolWriter::write`] the writer is of no use: drop it and resume.
pub trait SpoolWriter: Debug + Send {
    /// Where the upload is kept, for errors.
    fn location(&self) -> PathBuf;

    /// Reads bytes that came before this writer was made, from `offset` until `buffer` is full.
    ///
    /// # Errors
    /// [`StoreError::Io`], also when there are not as many.
    fn read_back(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError>;

    /// Appends bytes.
    ///
    /// # Errors
    /// [`StoreError::Io`], for instance when the disk is full; [`StoreError::Content`] when the upload is finished.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// What [`Spool::durable`] says of this upload.
    fn durable(&self) -> u64;

    /// Makes all bytes durable as a finished update: after this neither a crash nor a loss of power loses it.
    ///
    /// # Errors
    /// [`StoreError::Io`]; what is durable stays, and the upload can be resumed.
    fn finish(self: Box<Self>) -> Result<(), StoreError>;

    /// Removes the upload.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn discard(self: Box<Self>) -> Result<(), StoreError>;
}

/// A finished update, read by as many threads at once as one likes.
pub trait SpooledUpdate: Debug + Send + Sync {
    /// How many bytes it has.
    fn bytes(&self) -> u64;

    /// Reads from `offset` until `buffer` is full.
    ///
    /// # Errors
    /// [`StoreError::Io`], also when the range does not lie within the update.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError>;
}

/// How many bytes are read through at a time.
const READ_THROUGH: usize = 1 << 20;

/// Reads a finished update from its start to its end; gives the digest of what it read.
pub(crate) fn read_through(
    update: &dyn SpooledUpdate,
    mut each: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<Digest, StoreError> {
    let (mut digest, mut block, mut offset) = (DigestBuilder::new(), vec![0; READ_THROUGH], 0);
    while offset < update.bytes() {
        let left = usize::try_from(update.bytes() - offset).unwrap_or(usize::MAX);
        let bytes = block.get_mut(..left.min(READ_THROUGH)).unwrap_or_default();
        update.read_exact_at(bytes, offset)?;
        digest.update(bytes);
        each(bytes)?;
        offset += bytes.len() as u64;
    }
    Ok(digest.finish())
}

/// Opens the place that the configuration names; `state` is the coordinator's state folder.
///
/// # Errors
/// [`StoreError::Io`] for a folder that cannot be made, [`StoreError::ObjectStore`] for an object store that cannot be
/// reached, listed, written or deleted from.
pub(crate) fn open(config: &SpoolConfig, state: &Path) -> Result<Box<dyn Spool>, StoreError> {
    Ok(match config {
        SpoolConfig::State => Box::new(LocalSpool::open(state.join("updates"))?),
        SpoolConfig::Folder(folder) => Box::new(LocalSpool::open(folder)?),
        #[cfg(feature = "object-store")]
        SpoolConfig::ObjectStore(url) => Box::new(object::connect(url)?),
        #[cfg(not(feature = "object-store"))]
        SpoolConfig::ObjectStore(url) => match *url {},
    })
}

/// Refuses an offset that is not where an upload goes on.
fn check_offset(durable: u64, offset: u64) -> Result<(), StoreError> {
    if offset == 0 || offset == durable {
        return Ok(());
    }
    Err(federated_proto::WireError::ChunkOffset { expected: durable, found: offset }.into())
}

/// What a writer of a finished upload says to further bytes.
fn check_no_more(finished: u64, bytes: &[u8]) -> Result<(), StoreError> {
    if bytes.is_empty() {
        return Ok(());
    }
    Err(federated_proto::WireError::Oversized { expected: finished }.into())
}
