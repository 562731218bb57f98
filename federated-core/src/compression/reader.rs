use super::{
    CompressionError, Encoding, block_count, block_elements, decoder::check_length, encoding::PREFIX_BYTES,
};

/// One block, cut out of an update's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedBlock<'a> {
    /// Which block it is, from 0.
    pub index: u64,
    /// How many elements it has.
    pub elements: usize,
    /// Where the payload begins in the update's bytes, to find it again later.
    pub offset: u64,
    /// The payload, for [`BlockDecoder::decode`](super::BlockDecoder::decode).
    pub payload: &'a [u8],
}

/// Cuts the bytes of an update into blocks as they arrive, in pieces of any size.
///
/// # Security
/// A length out of [`Encoding::payload_bytes`] is refused before a byte of its payload is kept, so it holds at most one
/// payload. Bytes beyond [`Encoding::max_encoded_bytes`] and beyond the last block are refused.
///
/// # Examples
/// ```
/// use federated_core::compression::{BlockDecoder, BlockReader, Codec, Encoding, encode};
///
/// let encoding = Encoding::with_zstd(Codec::F32);
/// let bytes = encode(encoding, &[0.5; 70_000], 0)?;
///
/// let mut reader = BlockReader::new(encoding, 70_000);
/// let mut decoder = BlockDecoder::new(encoding);
/// let mut values = vec![0.0; 65_536];
/// for mut piece in bytes.chunks(1_000) {
///     while let Some(block) = reader.next_block(&mut piece)? {
///         decoder.decode(block.index, block.payload, &mut values[..block.elements])?;
///     }
/// }
/// reader.finish()?;
/// # Ok::<(), federated_core::compression::CompressionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BlockReader {
    encoding: Encoding,
    elements: u64,
    /// The block that is being read.
    index: u64,
    /// Bytes taken so far.
    offset: u64,
    /// Bytes of the payload that is being read, once its length is known.
    wanted: Option<usize>,
    /// What is there of a length or a payload that is not complete.
    partial: Vec<u8>,
    /// The block in `partial` was handed out.
    done: bool,
}

impl BlockReader {
    /// A reader of an update of this many elements.
    #[must_use]
    pub const fn new(encoding: Encoding, elements: u64) -> Self {
        Self { encoding, elements, index: 0, offset: 0, wanted: None, partial: Vec::new(), done: false }
    }

    /// Takes bytes from the front of `input` up to the end of the next block; `None` when all are taken and the block is
    /// not complete.
    ///
    /// # Errors
    /// [`CompressionError`] when a length is impossible, or there are bytes after the last block. The reader is of no
    /// more use then.
    pub fn next_block<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<EncodedBlock<'s>>, CompressionError> {
        if std::mem::take(&mut self.done) {
            self.partial.clear();
        }
        let Some(elements) = block_elements(self.elements, self.index) else {
            let most = self.encoding.max_encoded_bytes(self.elements);
            return if input.is_empty() { Ok(None) } else { Err(CompressionError::TooLong { most }) };
        };
        let Some(length) = self.length(input, elements)? else { return Ok(None) };
        let Some((from_input, index)) = self.payload(input, length) else { return Ok(None) };
        let payload = from_input.unwrap_or(&self.partial);
        Ok(Some(EncodedBlock { index, elements, offset: self.offset - length as u64, payload }))
    }

    /// Checks that every block was complete.
    ///
    /// # Errors
    /// [`CompressionError::Truncated`] otherwise.
    pub const fn finish(&self) -> Result<(), CompressionError> {
        let expected = block_count(self.elements);
        if self.index < expected {
            return Err(CompressionError::Truncated { expected, found: self.index });
        }
        Ok(())
    }

    /// The length of the payload, as soon as it is known.
    fn length(&mut self, input: &mut &[u8], elements: usize) -> Result<Option<usize>, CompressionError> {
        if self.wanted.is_some() {
            return Ok(self.wanted);
        }
        let length = if self.encoding.is_plain() {
            self.encoding.max_payload_bytes(elements)
        } else {
            self.fill(input, PREFIX_BYTES);
            let Some(prefix) = self.partial.as_array() else { return Ok(None) };
            let length = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
            self.partial.clear();
            length
        };
        check_length(self.encoding, self.index, length, elements)?;
        let most = self.encoding.max_encoded_bytes(self.elements);
        if self.offset + length as u64 > most {
            return Err(CompressionError::TooLong { most });
        }
        self.wanted = Some(length);
        Ok(self.wanted)
    }

    /// The complete payload, where it lies in `input` in one piece, or else in `partial`; and which block it is.
    fn payload<'i>(&mut self, input: &mut &'i [u8], length: usize) -> Option<(Option<&'i [u8]>, u64)> {
        let whole = if self.partial.is_empty() { input.split_off(..length) } else { None };
        if whole.is_some() {
            self.offset += length as u64;
        } else {
            self.fill(input, length);
            if self.partial.len() < length {
                return None;
            }
            self.done = true;
        }
        let index = self.index;
        self.index += 1;
        self.wanted = None;
        Some((whole, index))
    }

    /// Moves bytes from `input` until `partial` has `length` or none are left.
    fn fill(&mut self, input: &mut &[u8], length: usize) {
        let missing = length.saturating_sub(self.partial.len()).min(input.len());
        self.partial.reserve_exact(length.saturating_sub(self.partial.len()));
        self.partial.extend_from_slice(input.split_off(..missing).unwrap_or_default());
        self.offset += missing as u64;
    }
}
