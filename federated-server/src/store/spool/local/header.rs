use std::{fs::File, io};

use federated_core::ids::Digest;

use crate::store::positioned;

/// What every file begins with: the digest of the content that it holds or will hold, and how many bytes of it are here
/// (`u64`, little-endian).
///
/// The count is written after the bytes that it counts. The length of the file says nothing of an upload under way: what
/// is beyond the count may be of an earlier update, whose file is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) content: Digest,
    pub(super) received: u64,
}

impl Header {
    const DIGEST: usize = 32;
    const COUNT: usize = 8;
    /// Where the content begins.
    pub(super) const BYTES: u64 = (Self::DIGEST + Self::COUNT) as u64;

    /// Reads the header of a file; `None` when the file is too short to have one.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let (mut content, mut received) = ([0; Self::DIGEST], [0; Self::COUNT]);
        let read = positioned::read_exact_at(file, &mut content, 0)
            .and_then(|()| positioned::read_exact_at(file, &mut received, Self::DIGEST as u64));
        match read {
            Ok(()) => Ok(Some(Self { content: content.into(), received: u64::from_le_bytes(received) })),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins a file for this content: none of it is here.
    pub(super) fn begin(file: &File, content: Digest) -> io::Result<()> {
        // A file that was used before must not say for a moment that all of the new content is here.
        Self::count(file, 0)?;
        positioned::write_all_at(file, content.as_bytes(), 0)
    }

    /// Says how many bytes are here.
    pub(super) fn count(file: &File, received: u64) -> io::Result<()> {
        positioned::write_all_at(file, &received.to_le_bytes(), Self::DIGEST as u64)
    }
}
