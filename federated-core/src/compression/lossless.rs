//! zstd over the payload of one block, with floats cut into planes before.

use super::{Codec, CompressionError, Encoding, encoding::compressed_bound, planes, top_k};

/// zstd's fastest regular level. Higher ones take much longer, and save one part in a hundred: what of an update can be
/// compressed is the distribution of its exponents, and that needs no search for repetitions.
const LEVEL: i32 = 1;

/// Compresses payloads, with buffers for one block.
pub(super) struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    arranged: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> Result<Self, CompressionError> {
        Ok(Self {
            zstd: zstd::bulk::Compressor::new(LEVEL).map_err(|error| failed(&error))?,
            arranged: Vec::new(),
        })
    }

    /// Appends the compressed form of a payload.
    pub(super) fn compress(
        &mut self,
        codec: Codec,
        raw: &[u8],
        payload: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        if raw.is_empty() {
            return Ok(());
        }
        let (kept, words) = sections(codec, raw);
        self.arranged.clear();
        self.arranged.extend_from_slice(kept);
        self.arranged.resize(raw.len(), 0);
        planes::cut(words, self.arranged.get_mut(kept.len()..).unwrap_or_default());
        let arranged = if words.is_empty() { raw } else { &self.arranged };
        let start = payload.len();
        payload.resize(start + compressed_bound(raw.len()), 0);
        let place = payload.get_mut(start..).unwrap_or_default();
        let length = self.zstd.compress_to_buffer(arranged, place).map_err(|error| failed(&error))?;
        payload.truncate(start + length);
        Ok(())
    }
}

fn failed(error: &std::io::Error) -> CompressionError {
    CompressionError::Compress { detail: error.to_string() }
}

/// Decompresses payloads, with buffers for one block.
#[derive(Default)]
pub(super) struct Decompressor {
    zstd: zstd::bulk::Decompressor<'static>,
    arranged: Vec<u8>,
    raw: Vec<u8>,
}

impl Decompressor {
    /// The payload of block `block` as it was before compression; at most `encoding` allows for `elements`.
    pub(super) fn decompress(
        &mut self,
        encoding: Encoding,
        block: u64,
        payload: &[u8],
        elements: usize,
    ) -> Result<&[u8], CompressionError> {
        let lengths = encoding.raw_payload_bytes(elements);
        let most = *lengths.end();
        self.arranged.resize(most, 0);
        // zstd writes into this room and refuses a frame that needs more.
        let room = self.arranged.as_mut_slice();
        let failed = |detail: String| CompressionError::Zstd { block, most, detail };
        let length =
            self.zstd.decompress_to_buffer(payload, room).map_err(|error| failed(error.to_string()))?;
        if !lengths.contains(&length) {
            return Err(failed(format!("it holds {length}")));
        }
        let arranged = self.arranged.get(..length).unwrap_or_default();
        let (kept, words) = sections(encoding.codec, arranged);
        if words.is_empty() {
            return Ok(arranged);
        }
        self.raw.clear();
        self.raw.extend_from_slice(kept);
        self.raw.resize(length, 0);
        planes::join(words, self.raw.get_mut(kept.len()..).unwrap_or_default());
        Ok(&self.raw)
    }
}

/// What of a payload stays as it is, and what of it is 32-bit floats: nothing, or a multiple of four bytes to its end.
fn sections(codec: Codec, payload: &[u8]) -> (&[u8], &[u8]) {
    match codec {
        Codec::F32 => (&[], payload),
        Codec::TopK(_) => top_k::split(payload),
        Codec::Bf16 | Codec::F16 | Codec::Int8 | Codec::Int4 => (payload, &[]),
    }
}
