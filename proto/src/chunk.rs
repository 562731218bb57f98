//! Contents in chunks: cutting and putting together, with limits.

use bytes::Bytes;

use crate::{WireError, v1};

/// Most bytes in a chunk: 4 MiB less 64 KiB, so that a message stays below gRPC's usual limit of 4 MiB.
pub const MAX_CHUNK_BYTES: usize = (4 << 20) - (64 << 10);
/// The chunk size used unless configured otherwise: 1 MiB.
pub const DEFAULT_CHUNK_BYTES: usize = 1 << 20;

/// Cuts a content that is in memory into chunks, from `offset` on, without copying.
///
/// `chunk_bytes` is taken as at least 1 and at most [`MAX_CHUNK_BYTES`].
pub fn split(content: Bytes, offset: u64, chunk_bytes: usize) -> impl Iterator<Item = v1::Chunk> {
    let step = chunk_bytes.clamp(1, MAX_CHUNK_BYTES);
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
    (start..content.len()).step_by(step).map(move |from| v1::Chunk {
        offset: from as u64,
        data: content.slice(from..content.len().min(from + step)),
    })
}

/// Checks that chunks follow one another and that no more bytes come than were announced.
///
/// # Examples
/// ```
/// use federated_proto::{chunk::ChunkSequence, v1::Chunk};
///
/// let mut sequence = ChunkSequence::new(0, 6);
/// assert_eq!(sequence.accept(Chunk { offset: 0, data: "abcd".into() })?, "abcd");
/// assert_eq!(sequence.accept(Chunk { offset: 4, data: "ef".into() })?, "ef");
/// sequence.finish()?;
/// # Ok::<(), federated_proto::WireError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChunkSequence {
    next: u64,
    total: u64,
}

impl ChunkSequence {
    /// Expects chunks from `offset` to `total` bytes.
    #[must_use]
    pub const fn new(offset: u64, total: u64) -> Self {
        Self { next: offset, total }
    }

    /// Where the next chunk must start.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// Takes the next chunk and gives its bytes.
    ///
    /// # Errors
    /// [`WireError`] when the chunk is empty, too long, not the next one, or reaches beyond the total.
    pub fn accept(&mut self, chunk: v1::Chunk) -> Result<Bytes, WireError> {
        let found = chunk.data.len();
        if found == 0 || found > MAX_CHUNK_BYTES {
            return Err(WireError::ChunkLength { max: MAX_CHUNK_BYTES, found });
        }
        if chunk.offset != self.next {
            return Err(WireError::ChunkOffset { expected: self.next, found: chunk.offset });
        }
        let end = self.next.checked_add(found as u64).filter(|end| *end <= self.total);
        self.next = end.ok_or(WireError::Oversized { expected: self.total })?;
        Ok(chunk.data)
    }

    /// Checks that everything came.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when bytes are missing.
    pub const fn finish(&self) -> Result<(), WireError> {
        if self.next == self.total {
            Ok(())
        } else {
            Err(WireError::Truncated { expected: self.total, found: self.next })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gaps_repeats_and_too_much_are_refused() {
        let chunk =
            |offset, data: &'static str| v1::Chunk { offset, data: Bytes::from_static(data.as_bytes()) };
        let mut sequence = ChunkSequence::new(2, 6);
        assert!(matches!(
            sequence.accept(chunk(0, "ab")),
            Err(WireError::ChunkOffset { expected: 2, found: 0 })
        ));
        assert!(matches!(sequence.accept(chunk(2, "")), Err(WireError::ChunkLength { found: 0, .. })));
        assert!(matches!(sequence.accept(chunk(2, "abcde")), Err(WireError::Oversized { expected: 6 })));
        sequence.accept(chunk(2, "ab")).unwrap();
        assert!(matches!(sequence.finish(), Err(WireError::Truncated { expected: 6, found: 4 })));
        let huge = v1::Chunk { offset: 4, data: vec![0; MAX_CHUNK_BYTES + 1].into() };
        assert!(matches!(sequence.accept(huge), Err(WireError::ChunkLength { .. })));
    }

    #[test]
    fn a_content_that_ends_where_numbers_do_takes_no_byte_more() {
        let mut sequence = ChunkSequence::new(u64::MAX - 2, u64::MAX);
        let chunk = |data: &'static [u8]| v1::Chunk { offset: u64::MAX - 2, data: Bytes::from_static(data) };
        assert!(matches!(sequence.accept(chunk(b"abc")), Err(WireError::Oversized { .. })));
        sequence.accept(chunk(b"ab")).unwrap();
        sequence.finish().unwrap();
    }

    proptest! {
        #[test]
        fn what_is_split_comes_together_again_from_any_offset(
            content in prop::collection::vec(any::<u8>(), 0..2_000), step in 1_usize..300, offset in 0_usize..2_000,
        ) {
            let offset = offset.min(content.len());
            let mut sequence = ChunkSequence::new(offset as u64, content.len() as u64);
            let mut together = content[..offset].to_vec();
            for chunk in split(content.clone().into(), offset as u64, step) {
                together.extend_from_slice(&sequence.accept(chunk).unwrap());
            }
            prop_assert!(sequence.finish().is_ok());
            prop_assert_eq!(together, content);
        }
    }
}
