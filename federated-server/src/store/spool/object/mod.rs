//! Updates in an object store: S3, Google Cloud Storage, Azure, or any other backend of the crate `object_store`.
//!
//! ```text
//! PREFIX/JOB/ROUND-ATTEMPT/NAME/DIGEST/00000000   the first 8 MiB of an upload
//! PREFIX/JOB/ROUND-ATTEMPT/NAME/DIGEST/00000001   the next, and so on; the last one may be shorter
//! PREFIX/JOB/ROUND-ATTEMPT/NAME/DIGEST/complete   written last: how many bytes there are in all, as decimal digits
//! ```
//!
//! An object appears whole or not at all, and is never written again with other bytes. So a list of the objects is all
//! that a coordinator needs to go on after a restart, and no feature is asked of a backend beyond put, get, list and
//! delete. The tests run over the backends of the crate that need no network; none runs against a real cloud.
//!
//! Read in this order: [`ObjectSpool`] is the layout, `segments` is what of an upload is there, `writer` adds to it,
//! `bucket` are the operations of a backend, blocking, `connect` opens the one that the configuration names.

mod bucket;
mod connect;
mod segments;
#[cfg(test)]
mod tests;
mod writer;

use std::{io, num::NonZeroUsize, sync::Arc};

use federated_core::ids::{JobName, ParticipantName, TaskId};
use object_store::{ObjectMeta, ObjectStore, path::Path};
use tokio::runtime::Handle;

use super::{Spool, SpoolWriter, SpooledUpdate, UploadKey, check_offset};
use crate::store::StoreError;
use bucket::Bucket;
use segments::{Finished, Segments};
use writer::ObjectWriter;

pub(super) use connect::connect;

/// How large an object is. A crash loses what was written of the last one, and each upload under way holds as much in
/// memory; a larger one needs fewer requests.
const SEGMENT: NonZeroUsize = NonZeroUsize::MIN.saturating_add((8 << 20) - 1);

/// Updates as objects of 8 MiB.
///
/// Each upload under way takes 8 MiB of memory. What is durable ends with a whole object: a connection that breaks
/// loses up to 8 MiB, which are sent again.
///
/// Its methods wait for the runtime and would bring it to a standstill if they were called from a thread that runs its
/// asynchronous tasks.
#[derive(Debug)]
pub struct ObjectSpool {
    bucket: Bucket,
    prefix: Path,
    segment: NonZeroUsize,
}

impl ObjectSpool {
    /// Keeps updates under a prefix of a store that is reached through this runtime. No other coordinator may use the
    /// prefix meanwhile.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, runtime: Handle) -> Self {
        let name = store.to_string();
        Self { bucket: Bucket::new(store, runtime, name), prefix, segment: SEGMENT }
    }

    fn job_folder(&self, job: &JobName) -> Path {
        self.prefix.clone().join(job.as_str())
    }

    fn attempt_folder(&self, task: &TaskId) -> Path {
        self.job_folder(&task.job).join(format!("{}-{}", task.round, task.attempt))
    }

    fn participant_folder(&self, task: &TaskId, participant: &ParticipantName) -> Path {
        self.attempt_folder(task).join(participant.as_str())
    }

    fn upload_folder(&self, upload: UploadKey<'_>) -> Path {
        self.participant_folder(upload.task, upload.participant).join(upload.content.to_string())
    }

    fn segments(&self, upload: UploadKey<'_>) -> Result<Segments, StoreError> {
        Segments::load(&self.bucket, self.upload_folder(upload))
    }

    /// Removes what there is of this upload, and unfinished ones of the same participant.
    fn begin(&self, upload: UploadKey<'_>) -> Result<(), StoreError> {
        let (others, own) =
            (self.participant_folder(upload.task, upload.participant), self.upload_folder(upload));
        let objects = self.bucket.list(&others)?;
        let is_in = |folder: &Path, object: &Path| object.prefix_matches(folder);
        let finished: Vec<Path> = (objects.iter())
            .filter(|object| segments::is_marker(&object.location) && !is_in(&own, &object.location))
            .filter_map(|marker| segments::folder_of(&marker.location))
            .collect();
        let unneeded = |object: &ObjectMeta| !finished.iter().any(|folder| is_in(folder, &object.location));
        let locations = objects.into_iter().filter(unneeded).map(|object| object.location).collect();
        segments::remove(&self.bucket, locations)
    }

    fn remove(&self, folder: &Path) -> Result<(), StoreError> {
        let objects = self.bucket.list(folder)?;
        segments::remove(&self.bucket, objects.into_iter().map(|object| object.location).collect())
    }
}

impl Spool for ObjectSpool {
    fn durable(&self, upload: UploadKey<'_>) -> Result<u64, StoreError> {
        Ok(self.segments(upload)?.bytes())
    }

    fn resume(&self, upload: UploadKey<'_>, offset: u64) -> Result<Box<dyn SpoolWriter>, StoreError> {
        let mut segments = self.segments(upload)?;
        check_offset(segments.bytes(), offset)?;
        let bucket = self.bucket.clone();
        if offset == 0 {
            self.begin(upload)?;
            segments = Segments::none(self.upload_folder(upload));
        } else if segments.complete {
            return Ok(Box::new(Finished { bucket, segments }));
        } else {
            segments::remove(&self.bucket, std::mem::take(&mut segments.stray))?;
        }
        let others = self.participant_folder(upload.task, upload.participant);
        Ok(Box::new(ObjectWriter::new(bucket, segments, others, self.segment)))
    }

    fn open(&self, upload: UploadKey<'_>) -> Result<Box<dyn SpooledUpdate>, StoreError> {
        let segments = self.segments(upload)?;
        if segments.complete {
            return Ok(Box::new(Finished { bucket: self.bucket.clone(), segments }));
        }
        let path = self.bucket.location(&segments.folder);
        Err(StoreError::io("open", path)(io::ErrorKind::NotFound.into()))
    }

    fn remove_attempt(&self, task: &TaskId) -> Result<(), StoreError> {
        self.remove(&self.attempt_folder(task))
    }

    fn remove_job(&self, job: &JobName) -> Result<(), StoreError> {
        self.remove(&self.job_folder(job))
    }
}
