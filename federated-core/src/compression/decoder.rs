use std::fmt;

use super::{
    BLOCK_ELEMENTS, BlockReader, Codec, CompressionError, Encoding, float16, lossless::Decompressor, plain,
    quantize::Width, top_k,
};

/// Decodes the payloads of blocks, in any order, with memory for at most one block.
///
/// # Security
/// Takes hostile payloads: each is refused or gives values that are finite and below 2^31 in magnitude.
pub struct BlockDecoder {
    encoding: Encoding,
    decompressor: Option<Decompressor>,
}

impl BlockDecoder {
    /// A decoder of this encoding.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, decompressor: encoding.zstd.then(Decompressor::default) }
    }

    /// Decodes the payload of block `index` into `values`, which has as many elements as the block.
    ///
    /// For [`Encoding::PLAIN`] the payload is the stretch of bytes that these elements take.
    ///
    /// # Errors
    /// [`CompressionError`], with anything in `values`, when the payload has the wrong length or form, or holds a value
    /// that is not finite or not below 2^31 in magnitude.
    pub fn decode(&mut self, index: u64, payload: &[u8], values: &mut [f32]) -> Result<(), CompressionError> {
        let elements = values.len();
        if elements > BLOCK_ELEMENTS {
            return Err(CompressionError::BlockLength { expected: BLOCK_ELEMENTS, found: elements });
        }
        check_length(self.encoding, index, payload.len(), elements)?;
        let raw = match &mut self.decompressor {
            Some(decompressor) => decompressor.decompress(self.encoding, index, payload, elements)?,
            None => payload,
        };
        let first = index.saturating_mul(BLOCK_ELEMENTS as u64);
        match self.encoding.codec {
            Codec::F32 => plain::decode(raw, values),
            Codec::Bf16 => float16::decode_bf16(raw, values),
            // What is finite in these is below 2^31 by construction.
            Codec::F16 => return float16::decode_f16(raw, first, values),
            Codec::Int8 => return Width::Int8.decode(raw, first, values),
            Codec::Int4 => return Width::Int4.decode(raw, first, values),
            Codec::TopK(_) => top_k::decode(raw, index, values)?,
        }
        plain::check(values, first)
    }
}

impl fmt::Debug for BlockDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockDecoder").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

/// Checks that the payload of a block can have this length.
pub(super) fn check_length(
    encoding: Encoding,
    block: u64,
    found: usize,
    elements: usize,
) -> Result<(), CompressionError> {
    let lengths = encoding.payload_bytes(elements);
    if lengths.contains(&found) {
        return Ok(());
    }
    Err(CompressionError::PayloadLength { block, least: *lengths.start(), most: *lengths.end(), found })
}

/// Decodes a whole update of `elements` elements in memory; `elements` is the caller's, and so is that much memory.
///
/// # Errors
/// [`CompressionError`] when the bytes are not such an update.
pub fn decode(encoding: Encoding, elements: usize, mut bytes: &[u8]) -> Result<Vec<f32>, CompressionError> {
    let mut reader = BlockReader::new(encoding, elements as u64);
    let mut decoder = BlockDecoder::new(encoding);
    let mut values = vec![0.0; elements];
    for (index, values) in (0..).zip(values.chunks_mut(BLOCK_ELEMENTS)) {
        if let Some(block) = reader.next_block(&mut bytes)? {
            decoder.decode(index, block.payload, values)?;
        }
    }
    // What is left is refused here.
    reader.next_block(&mut bytes)?;
    reader.finish()?;
    Ok(values)
}
