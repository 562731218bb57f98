use std::path::PathBuf;

use federated_core::compression::{BlockDecoder, CompressionError, Encoding, block_count, block_elements};

use crate::store::{StoreError, spool::SpooledUpdate};

/// Bytes of the length before each payload.
const PREFIX: u64 = 4;

/// An update that is decoded while it is read, a block at a time.
#[derive(Debug)]
pub(super) struct EncodedUpdate {
    update: Box<dyn SpooledUpdate>,
    /// For errors.
    name: PathBuf,
    encoding: Encoding,
    /// Where each block begins, and where the last one ends: eight bytes for 65,536 elements.
    starts: Vec<u64>,
}

/// A worker's memory for decoding, used again for every block.
#[derive(Debug, Default)]
pub(super) struct Decoding {
    payload: Vec<u8>,
    decoder: Option<(Encoding, BlockDecoder)>,
}

impl EncodedUpdate {
    /// Finds where the blocks are. Their lengths are read only where the encoding leaves them open.
    pub(super) fn open(
        update: Box<dyn SpooledUpdate>,
        name: PathBuf,
        encoding: Encoding,
        elements: u64,
    ) -> Result<Self, StoreError> {
        let mut opened = Self { update, name, encoding, starts: vec![0] };
        let mut end = 0;
        for block in 0..block_count(elements) {
            let elements = block_elements(elements, block).unwrap_or_default();
            end += PREFIX + opened.payload_bytes(end, elements)?;
            opened.starts.push(end);
        }
        if end != opened.update.bytes() {
            return Err(opened.damaged(format!("{end} bytes"), opened.update.bytes().to_string()));
        }
        Ok(opened)
    }

    /// How long the payload of the block at `start` is.
    fn payload_bytes(&self, start: u64, elements: usize) -> Result<u64, StoreError> {
        let lengths = self.encoding.payload_bytes(elements);
        if lengths.start() == lengths.end() {
            return Ok(*lengths.end() as u64);
        }
        let mut prefix = 0_u32.to_le_bytes();
        self.update.read_exact_at(&mut prefix, start)?;
        let found = u32::from_le_bytes(prefix);
        if usize::try_from(found).is_ok_and(|found| lengths.contains(&found)) {
            return Ok(found.into());
        }
        let expected = format!("a block of {} to {} bytes", lengths.start(), lengths.end());
        Err(self.damaged(expected, found.to_string()))
    }

    /// Decodes a block into `values`, which has as many elements as the block.
    pub(super) fn read(
        &self,
        block: u64,
        values: &mut [f32],
        decoding: &mut Decoding,
    ) -> Result<(), StoreError> {
        let place = usize::try_from(block).ok().and_then(|block| self.starts.get(block..)?.first_chunk());
        let Some([start, end]) = place else {
            return Err(self.damaged(format!("block {block}"), "no such block".to_owned()));
        };
        let Decoding { payload, decoder } = decoding;
        payload.resize(usize::try_from(end - start - PREFIX).unwrap_or_default(), 0);
        self.update.read_exact_at(payload, start + PREFIX)?;
        let decoder = match decoder {
            Some((encoding, decoder)) if *encoding == self.encoding => decoder,
            other => &mut other.insert((self.encoding, BlockDecoder::new(self.encoding))).1,
        };
        // It was checked before its receipt: only the disk can have changed it.
        let damaged = |error: CompressionError| {
            self.damaged("the update as it was received".to_owned(), error.to_string())
        };
        decoder.decode(block, payload, values).map_err(damaged)
    }

    fn damaged(&self, expected: String, found: String) -> StoreError {
        StoreError::Damaged { path: self.name.clone(), expected, found }
    }
}
