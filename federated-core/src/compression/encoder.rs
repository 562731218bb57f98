use std::fmt;

use super::{
    BLOCK_ELEMENTS, Codec, CompressionError, Encoding, block_count, block_elements, encoding::PREFIX_BYTES,
    float16, lossless::Compressor, plain, quantize::Width, top_k::Selection,
};

/// Encodes the values of an update, a block at a time.
///
/// It borrows all values, since top-k chooses among all of them, and holds one block beside them. Blocks may be asked
/// for in any order and more than once; each is always the same bytes.
///
/// # Examples
/// ```
/// use federated_core::compression::{Codec, Encoder, Encoding};
///
/// let values = vec![0.5_f32; 100_000];
/// let mut encoder = Encoder::new(Encoding::new(Codec::Bf16), &values, 0)?;
/// let mut bytes = Vec::new();
/// for block in 0..encoder.blocks() {
///     bytes.clear();
///     encoder.append_block(block, &mut bytes)?;
///     // Write the bytes to a file.
/// }
/// # Ok::<(), federated_core::compression::CompressionError>(())
/// ```
pub struct Encoder<'a> {
    encoding: Encoding,
    values: &'a [f32],
    seed: u64,
    selection: Option<Selection>,
    compressor: Option<Compressor>,
    /// A payload before zstd.
    raw: Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// Prepares the encoding of `values`; for top-k this chooses the elements.
    ///
    /// `seed` decides the rounding of int8 and int4, and nothing else: the same seed gives the same bytes. Take one
    /// that differs by participant and round, such as the task's. With equal seeds the errors of participants, or of
    /// rounds, go the same way and do not average out.
    ///
    /// # Errors
    /// [`CompressionError::Compress`] when zstd cannot be set up.
    pub fn new(encoding: Encoding, values: &'a [f32], seed: u64) -> Result<Self, CompressionError> {
        let selection = match encoding.codec {
            Codec::TopK(fraction) => Some(Selection::largest(values, fraction.of(values.len() as u64))),
            _ => None,
        };
        let compressor = if encoding.zstd { Some(Compressor::new()?) } else { None };
        Ok(Self { encoding, values, seed, selection, compressor, raw: Vec::new() })
    }

    /// How many blocks there are.
    #[must_use]
    pub const fn blocks(&self) -> u64 {
        block_count(self.values.len() as u64)
    }

    /// Appends block `index` as it travels: its length and its payload, or for [`Encoding::PLAIN`] its payload alone.
    ///
    /// # Errors
    /// [`CompressionError`], with nothing appended, when a value is not finite or not below 2^31 in magnitude, is too
    /// large for f16, or there is no such block.
    pub fn append_block(&mut self, index: u64, bytes: &mut Vec<u8>) -> Result<(), CompressionError> {
        let before = bytes.len();
        let appended = self.append(index, bytes);
        if appended.is_err() {
            bytes.truncate(before);
        }
        appended
    }

    fn append(&mut self, index: u64, bytes: &mut Vec<u8>) -> Result<(), CompressionError> {
        let missing = || CompressionError::BlockLength { expected: 0, found: BLOCK_ELEMENTS };
        let elements = block_elements(self.values.len() as u64, index).ok_or_else(missing)?;
        let start = usize::try_from(index).map_err(|_| missing())? * BLOCK_ELEMENTS;
        let values = self.values.get(start..start + elements).ok_or_else(missing)?;
        plain::check(values, start as u64)?;
        if self.encoding.is_plain() {
            plain::encode(values, bytes);
            return Ok(());
        }
        let prefix = bytes.len();
        bytes.extend_from_slice(&[0; PREFIX_BYTES]);
        let block = Block { values, index, start, seed: self.seed, selection: self.selection };
        if let Some(compressor) = &mut self.compressor {
            self.raw.clear();
            block.encode(self.encoding.codec, &mut self.raw)?;
            compressor.compress(self.encoding.codec, &self.raw, bytes)?;
        } else {
            block.encode(self.encoding.codec, bytes)?;
        }
        let length = u32::try_from(bytes.len() - prefix - PREFIX_BYTES).unwrap_or(u32::MAX);
        if let Some(place) = bytes.get_mut(prefix..).and_then(<[u8]>::first_chunk_mut) {
            *place = length.to_le_bytes();
        }
        Ok(())
    }
}

impl fmt::Debug for Encoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("encoding", &self.encoding)
            .field("elements", &self.values.len())
            .finish_non_exhaustive()
    }
}

/// One block, before zstd.
#[derive(Clone, Copy)]
struct Block<'a> {
    values: &'a [f32],
    index: u64,
    /// The place of the first value in the update.
    start: usize,
    seed: u64,
    selection: Option<Selection>,
}

impl Block<'_> {
    fn encode(self, codec: Codec, payload: &mut Vec<u8>) -> Result<(), CompressionError> {
        match codec {
            Codec::F32 => plain::encode(self.values, payload),
            Codec::Bf16 => float16::encode_bf16(self.values, payload),
            Codec::F16 => float16::encode_f16(self.values, self.start as u64, payload)?,
            Codec::Int8 => Width::Int8.encode(self.values, self.seed, self.index, payload),
            Codec::Int4 => Width::Int4.encode(self.values, self.seed, self.index, payload),
            Codec::TopK(_) => {
                if let Some(selection) = self.selection {
                    selection.encode(self.values, self.start, payload);
                }
            }
        }
        Ok(())
    }
}

/// Encodes a whole update in memory. See [`Encoder::new`] about `seed`.
///
/// # Errors
/// As [`Encoder::append_block`].
pub fn encode(encoding: Encoding, values: &[f32], seed: u64) -> Result<Vec<u8>, CompressionError> {
    let mut encoder = Encoder::new(encoding, values, seed)?;
    let mut bytes = Vec::new();
    (0..encoder.blocks()).try_for_each(|index| encoder.append_block(index, &mut bytes))?;
    Ok(bytes)
}
