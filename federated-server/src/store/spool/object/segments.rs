use std::{collections::BTreeMap, io, ops::Range, path::PathBuf};

use object_store::{ObjectMeta, path::Path};

use super::{super::check_no_more, Bucket, SpoolWriter, SpooledUpdate};
use crate::store::StoreError;

/// The object that makes an upload a finished one.
const MARKER: &str = "complete";
/// The longest count of bytes, in digits.
const MAX_DIGITS: u64 = 20;

/// What of an upload is in the bucket.
#[derive(Debug)]
pub(super) struct Segments {
    pub(super) folder: Path,
    /// Where each segment ends, counted from the first byte of the upload.
    ends: Vec<u64>,
    /// Whether there is a marker, and as many bytes as it says.
    pub(super) complete: bool,
    /// Objects that are no part of the upload: a crash left them.
    pub(super) stray: Vec<Path>,
}

impl Segments {
    /// Of an upload that has not begun.
    pub(super) const fn none(folder: Path) -> Self {
        Self { folder, ends: Vec::new(), complete: false, stray: Vec::new() }
    }

    pub(super) fn load(bucket: &Bucket, folder: Path) -> Result<Self, StoreError> {
        let (mut sizes, mut marker, mut stray) = (BTreeMap::new(), None, Vec::new());
        for object in bucket.list(&folder)? {
            let name = object.location.filename().unwrap_or_default();
            match name.parse::<usize>() {
                Ok(number) => drop(sizes.insert(number, object.size)),
                Err(_) if name == MARKER => marker = Some(object),
                Err(_) => stray.push(object.location),
            }
        }
        let mut segments = Self::none(folder);
        for (number, size) in sizes {
            // What comes after a gap is from before the upload began afresh.
            if number == segments.ends.len() {
                segments.ends.push(segments.bytes() + size);
            } else {
                stray.push(segments.path(number));
            }
        }
        if let Some(marker) = marker {
            segments.complete = read_marker(bucket, &marker)? == Some(segments.bytes());
            if !segments.complete {
                stray.push(marker.location);
            }
        }
        Ok(Self { stray, ..segments })
    }

    /// How many bytes they are.
    pub(super) fn bytes(&self) -> u64 {
        self.ends.last().copied().unwrap_or_default()
    }

    fn path(&self, number: usize) -> Path {
        self.folder.clone().join(format!("{number:08}"))
    }

    /// Appends a segment; it is durable when this returns.
    pub(super) fn put(&mut self, bucket: &Bucket, bytes: Vec<u8>) -> Result<(), StoreError> {
        let end = self.bytes() + bytes.len() as u64;
        bucket.put(&self.path(self.ends.len()), bytes)?;
        self.ends.push(end);
        Ok(())
    }

    /// Makes the upload a finished one.
    pub(super) fn complete(&self, bucket: &Bucket) -> Result<(), StoreError> {
        bucket.put(&self.folder.clone().join(MARKER), self.bytes().to_string().into())
    }

    pub(super) fn read(&self, bucket: &Bucket, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        let action = || StoreError::io("read", bucket.location(&self.folder));
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.bytes());
        let end = end.ok_or_else(|| action()(io::ErrorKind::UnexpectedEof.into()))?;
        let mut rest = buffer;
        for bytes in bucket.get(&self.ranges(offset..end))? {
            let (part, later) = std::mem::take(&mut rest)
                .split_at_mut_checked(bytes.len())
                .ok_or_else(|| action()(io::Error::other("more bytes came than were asked for")))?;
            part.copy_from_slice(&bytes);
            rest = later;
        }
        if rest.is_empty() { Ok(()) } else { Err(action()(io::ErrorKind::UnexpectedEof.into())) }
    }

    /// Where in which objects these bytes of the upload are.
    fn ranges(&self, bytes: Range<u64>) -> Vec<(Path, Range<u64>)> {
        let mut ranges = Vec::new();
        let first = self.ends.partition_point(|end| *end <= bytes.start);
        let mut start =
            first.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        for (number, end) in self.ends.iter().enumerate().skip(first) {
            // An empty range of an object is no request that every backend answers.
            let part = bytes.start.max(start)..bytes.end.min(*end);
            if part.is_empty() {
                break;
            }
            ranges.push((self.path(number), part.start - start..part.end - start));
            start = *end;
        }
        ranges
    }

    /// Removes the upload.
    pub(super) fn remove(&self, bucket: &Bucket) -> Result<(), StoreError> {
        let objects = bucket.list(&self.folder)?;
        remove(bucket, objects.into_iter().map(|object| object.location).collect())
    }
}

/// How many bytes a marker says there are in all, if it says that.
fn read_marker(bucket: &Bucket, marker: &ObjectMeta) -> Result<Option<u64>, StoreError> {
    if !(1..=MAX_DIGITS).contains(&marker.size) {
        return Ok(None);
    }
    let read = bucket.get(&[(marker.location.clone(), 0..marker.size)])?;
    Ok(read.first().and_then(|digits| str::from_utf8(digits).ok()?.parse().ok()))
}

pub(super) fn is_marker(object: &Path) -> bool {
    object.filename() == Some(MARKER)
}

/// The folder that an object is in.
pub(super) fn folder_of(object: &Path) -> Option<Path> {
    let (folder, _) = object.as_ref().rsplit_once('/')?;
    Path::parse(folder).ok()
}

/// Removes objects of uploads, the markers first: an upload that lost only a part is then no finished one.
pub(super) fn remove(bucket: &Bucket, objects: Vec<Path>) -> Result<(), StoreError> {
    let (markers, segments) = objects.into_iter().partition(is_marker);
    bucket.remove(markers)?;
    bucket.remove(segments)
}

/// An upload that is finished: to be read, or to be found finished once more.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) bucket: Bucket,
    pub(super) segments: Segments,
}

impl SpooledUpdate for Finished {
    fn bytes(&self) -> u64 {
        self.segments.bytes()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        self.segments.read(&self.bucket, buffer, offset)
    }
}

impl SpoolWriter for Finished {
    fn location(&self) -> PathBuf {
        self.bucket.location(&self.segments.folder)
    }

    fn read_back(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        self.read_exact_at(buffer, offset)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        check_no_more(self.segments.bytes(), bytes)
    }

    fn durable(&self) -> u64 {
        self.segments.bytes()
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }

    fn discard(self: Box<Self>) -> Result<(), StoreError> {
        self.segments.remove(&self.bucket)
    }
}
