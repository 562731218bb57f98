use std::{num::NonZeroUsize, path::PathBuf};

use object_store::path::Path;

use super::{Bucket, Segments, SpoolWriter, segments};
use crate::store::StoreError;

/// An upload under way: the segments that are durable, and the bytes of the next one.
#[derive(Debug)]
pub(super) struct ObjectWriter {
    bucket: Bucket,
    segments: Segments,
    /// The folder of all uploads of this participant.
    others: Path,
    next: Vec<u8>,
    size: NonZeroUsize,
}

impl ObjectWriter {
    pub(super) const fn new(bucket: Bucket, segments: Segments, others: Path, size: NonZeroUsize) -> Self {
        Self { bucket, segments, others, next: Vec::new(), size }
    }

    /// Removes the participant's uploads of other contents, finished ones too: this one replaces them.
    fn replace_others(&self) -> Result<(), StoreError> {
        let objects = self.bucket.list(&self.others)?.into_iter().map(|object| object.location);
        let replaced = objects.filter(|object| !object.prefix_matches(&self.segments.folder));
        segments::remove(&self.bucket, replaced.collect())
    }
}

impl SpoolWriter for ObjectWriter {
    fn location(&self) -> PathBuf {
        self.bucket.location(&self.segments.folder)
    }

    fn read_back(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        self.segments.read(&self.bucket, buffer, offset)
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let room = self.size.get().saturating_sub(self.next.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.next.extend_from_slice(now);
            bytes = later;
            if self.next.len() >= self.size.get() {
                self.segments.put(&self.bucket, std::mem::take(&mut self.next))?;
                // Where there was one whole segment, another is likely.
                self.next.reserve_exact(self.size.get());
            }
        }
        Ok(())
    }

    fn durable(&self) -> u64 {
        self.segments.bytes()
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        if !self.next.is_empty() {
            self.segments.put(&self.bucket, std::mem::take(&mut self.next))?;
        }
        self.segments.complete(&self.bucket)?;
        if let Err(error) = self.replace_others() {
            tracing::warn!(%error, "earlier uploads of a participant stay until the round's are removed");
        }
        Ok(())
    }

    fn discard(self: Box<Self>) -> Result<(), StoreError> {
        self.segments.remove(&self.bucket)
    }
}
