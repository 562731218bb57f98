use std::{io::Read, path::Path};

use federated_core::{
    compression::{BlockDecoder, BlockReader, CompressionError, Encoding},
    ids::{Digest, DigestBuilder},
    model::{MAX_MAGNITUDE, ModelLayout, check_values},
    privacy::secagg::VectorPlan,
};
use federated_proto::WireError;

use super::StoreError;

/// How many bytes of a file are read at a time.
const BLOCK: usize = 1 << 20;

/// Reads values of this layout from a file that a peer filled, checks that each is usable, and gives their digest.
/// `path` is named when the file cannot be read.
///
/// # Errors
/// [`StoreError::Content`] naming the first value that is not usable, [`StoreError::Io`].
pub(super) fn check(file: impl Read, layout: &ModelLayout, path: &Path) -> Result<Digest, StoreError> {
    // One byte more than there may be: enough to see that there are too many.
    let mut file = file.take(layout.bytes().saturating_add(1));
    let mut check = ContentCheck::new(UpdateForm::plain(layout));
    let mut block = vec![0; BLOCK];
    loop {
        let read = file.read(&mut block).map_err(StoreError::io("read", path))?;
        let Some(bytes @ [_, ..]) = block.get(..read) else { break };
        check.update(bytes);
    }
    check.values_of(layout)?;
    Ok(check.digest.finish())
}

/// How the bytes of an update stand for its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateForm {
    /// How a value becomes bytes. `None`: it is a masked vector, of which nothing can be seen but its length.
    pub encoding: Option<Encoding>,
    /// How many values there are.
    pub elements: u64,
    /// How many bytes they are.
    pub bytes: u64,
}

impl UpdateForm {
    /// The vector that this plan makes of an update, masked: only its length can be checked.
    #[must_use]
    pub fn masked(plan: &VectorPlan, layout: &ModelLayout) -> Self {
        let elements = layout.elements();
        Self { encoding: None, elements, bytes: plan.byte_len(elements) }
    }

    /// Values as they are in memory, four bytes each.
    #[must_use]
    pub fn plain(layout: &ModelLayout) -> Self {
        Self { encoding: Some(Encoding::PLAIN), elements: layout.elements(), bytes: layout.bytes() }
    }
}

/// Checks the bytes of an update while they come, in pieces of any length.
///
/// The digest is taken of the bytes as they come; `values` looks at what they stand for. It holds at most one block.
#[derive(Debug)]
pub(super) struct ContentCheck {
    digest: DigestBuilder,
    length: u64,
    expected: u64,
    values: Values,
}

/// What looks at the values.
#[derive(Debug)]
enum Values {
    Plain(ValueScan),
    Encoded(Box<BlockScan>),
    Masked,
}

/// Why an update cannot be used.
#[derive(Debug)]
pub(super) struct WrongContent {
    /// What is wrong.
    pub(super) error: WireError,
    /// Whether these are the bytes that were announced. If so, whoever announced them is to blame; if not, bytes may
    /// have been lost on the way.
    pub(super) as_announced: bool,
}

impl ContentCheck {
    pub(super) fn new(form: UpdateForm) -> Self {
        let values = match form.encoding {
            None => Values::Masked,
            Some(encoding) if encoding.is_plain() => Values::Plain(ValueScan::default()),
            Some(encoding) => Values::Encoded(Box::new(BlockScan::new(encoding, form.elements))),
        };
        Self { digest: DigestBuilder::new(), length: 0, expected: form.bytes, values }
    }

    /// Adds the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        match &mut self.values {
            Values::Plain(scan) => scan.update(bytes),
            Values::Encoded(scan) => scan.update(bytes),
            Values::Masked => {}
        }
    }

    /// Judges all bytes: whether they are the content announced, and usable as values of this layout.
    pub(super) fn finish(self, announced: Digest, layout: &ModelLayout) -> Result<(), WrongContent> {
        let values = self.values_of(layout);
        let (expected, found) = (announced, self.digest.finish());
        let as_announced = found == expected;
        let error = match values {
            Err(error) => error,
            Ok(()) if !as_announced => WireError::DigestMismatch { expected, found },
            Ok(()) => return Ok(()),
        };
        Err(WrongContent { error, as_announced })
    }

    fn values_of(&self, layout: &ModelLayout) -> Result<(), WireError> {
        let (expected, found) = (self.expected, self.length);
        if found < expected {
            return Err(WireError::Truncated { expected, found });
        }
        if found > expected {
            return Err(WireError::Oversized { expected });
        }
        match &self.values {
            Values::Masked | Values::Plain(ValueScan { unusable: None, .. }) => Ok(()),
            Values::Plain(ValueScan { unusable: Some((element, value)), .. }) => {
                Ok(check_values(layout, *element, &[*value])?)
            }
            Values::Encoded(scan) => scan.result().map_err(|error| wrong_value(layout, error)),
        }
    }
}

/// As an error of the model where it is about one value: that names the tensor.
fn wrong_value(layout: &ModelLayout, error: CompressionError) -> WireError {
    let unusable = match error {
        CompressionError::NotFinite { element, found } | CompressionError::TooLarge { element, found } => {
            check_values(layout, element, &[found]).err()
        }
        _ => None,
    };
    unusable.map_or(WireError::Compression(error), WireError::Model)
}

/// Decodes each block as soon as all of it is there, to see whether its values are usable.
#[derive(Debug)]
struct BlockScan {
    reader: BlockReader,
    decoder: BlockDecoder,
    values: Vec<f32>,
    wrong: Option<CompressionError>,
}

impl BlockScan {
    fn new(encoding: Encoding, elements: u64) -> Self {
        let (reader, decoder) = (BlockReader::new(encoding, elements), BlockDecoder::new(encoding));
        Self { reader, decoder, values: Vec::new(), wrong: None }
    }

    fn update(&mut self, bytes: &[u8]) {
        if self.wrong.is_none() {
            self.wrong = self.scan(bytes).err();
        }
    }

    fn scan(&mut self, mut bytes: &[u8]) -> Result<(), CompressionError> {
        while let Some(block) = self.reader.next_block(&mut bytes)? {
            self.values.resize(block.elements, 0.0);
            self.decoder.decode(block.index, block.payload, &mut self.values)?;
        }
        Ok(())
    }

    fn result(&self) -> Result<(), CompressionError> {
        self.wrong.clone().map_or_else(|| self.reader.finish(), Err)
    }
}

/// Looks for the first value that is not usable in little-endian `f32`s that come in pieces of any length.
#[derive(Debug, Default)]
struct ValueScan {
    /// The first bytes of a value whose last ones are still to come.
    begun: Begun,
    /// How many values came.
    elements: u64,
    /// The first value that is not usable, and which element it is.
    unusable: Option<(u64, f32)>,
}

/// Up to three bytes of a value.
#[derive(Debug, Default)]
struct Begun {
    bits: u32,
    bytes: u32,
}

impl Begun {
    /// Adds a byte; gives the value when it was the fourth.
    fn push(&mut self, byte: u8) -> Option<[u8; 4]> {
        self.bits |= u32::from(byte) << (8 * self.bytes);
        self.bytes += 1;
        (self.bytes == 4).then(|| std::mem::take(self).bits.to_le_bytes())
    }
}

impl ValueScan {
    fn update(&mut self, mut bytes: &[u8]) {
        while self.begun.bytes > 0
            && let Some((byte, rest)) = bytes.split_first()
        {
            bytes = rest;
            if let Some(word) = self.begun.push(*byte) {
                self.scan(&[word]);
            }
        }
        let (words, rest) = bytes.as_chunks();
        self.scan(words);
        for byte in rest {
            self.begun.push(*byte);
        }
    }

    fn scan(&mut self, words: &[[u8; 4]]) {
        if self.unusable.is_none() && !all_usable(words) {
            let word = words.iter().enumerate().find(|(_, word)| !all_usable(&[**word]));
            self.unusable =
                word.map(|(place, word)| (self.elements + place as u64, f32::from_le_bytes(*word)));
        }
        self.elements += words.len() as u64;
    }
}

/// Whether every value is finite and below the limit, without a branch for each: magnitudes are ordered as their bits
/// are, with infinity and NaN above all others, so the difference to the largest one allowed borrows if one is too large.
fn all_usable(words: &[[u8; 4]]) -> bool {
    const LARGEST: u32 = MAX_MAGNITUDE.to_bits() - 1;
    let magnitude = |word: &[u8; 4]| u32::from_le_bytes(*word) & !(1 << 31);
    words.iter().fold(0, |borrows, word| borrows | LARGEST.wrapping_sub(magnitude(word))) >> 31 == 0
}

#[cfg(test)]
mod tests {
    use federated_core::{
        compression::{BLOCK_ELEMENTS, encode},
        model::{ModelError, TensorSpec, values_to_le_bytes},
    };
    use proptest::prelude::*;

    use super::*;

    fn layout(elements: usize) -> ModelLayout {
        ModelLayout::new(vec![TensorSpec::new("w", [elements as u64])]).unwrap()
    }

    fn judge(values: &[f32], piece: usize) -> Result<(), WrongContent> {
        let bytes = values_to_le_bytes(values);
        let mut check = ContentCheck::new(UpdateForm::plain(&layout(values.len())));
        bytes.chunks(piece).for_each(|piece| check.update(piece));
        check.finish(Digest::of(&bytes), &layout(values.len()))
    }

    #[test]
    fn every_magnitude_at_the_limit_is_judged_as_the_core_judges_it() {
        let limit = MAX_MAGNITUDE.to_bits();
        let patterns =
            [0, 1, 1 << 23, limit - 1, limit, limit + 1, 0x7f7f_ffff, 0x7f80_0000, 0x7f80_0001, 0x7fc0_0000];
        for bits in patterns.into_iter().flat_map(|bits| [bits, bits | 1 << 31, (bits | 1 << 31) ^ 1]) {
            let value = f32::from_bits(bits);
            let usable = check_values(&layout(1), 0, &[value]).is_ok();
            assert_eq!(all_usable(&[value.to_le_bytes()]), usable, "{value} {bits:x}");
        }
    }

    proptest! {
        #[test]
        fn values_are_judged_as_the_core_judges_them_however_they_are_cut(
            values in prop::collection::vec(
                prop_oneof![19 => -1e9_f32..1e9, 1 => any::<u32>().prop_map(f32::from_bits)], 1..40,
            ),
            piece in 1_usize..30,
        ) {
            let expected = check_values(&layout(values.len()), 0, &values);
            match (judge(&values, piece), expected) {
                (Ok(()), Ok(())) => {}
                (Err(wrong), Err(expected)) => {
                    prop_assert_eq!(wrong.error.to_string(), WireError::from(expected).to_string());
                    prop_assert!(wrong.as_announced);
                }
                (found, expected) => prop_assert!(false, "{:?} instead of {:?}", found, expected),
            }
        }
    }

    #[test]
    fn the_first_of_several_unusable_values_is_named() {
        let mut values = vec![0.5; 1000];
        (values[600], values[400]) = (f32::NAN, -3e9);
        let error = judge(&values, 1000).unwrap_err().error;
        assert!(matches!(error, WireError::Model(ModelError::TooLarge { element: 400, .. })), "{error}");
    }

    #[test]
    fn length_and_digest_count_too() {
        let bytes = values_to_le_bytes(&[1.0, 2.0]);
        let finish = |announced, elements| {
            let mut check = ContentCheck::new(UpdateForm::plain(&layout(elements)));
            check.update(&bytes);
            check.finish(announced, &layout(elements)).map_err(|wrong| (wrong.error, wrong.as_announced))
        };
        let digest = Digest::of(&bytes);
        assert!(finish(digest, 2).is_ok());
        assert!(matches!(finish(digest, 3), Err((WireError::Truncated { expected: 12, found: 8 }, true))));
        assert!(matches!(finish(digest, 1), Err((WireError::Oversized { expected: 4 }, true))));
        let other = Digest::of(b"other");
        assert!(matches!(finish(other, 2), Err((WireError::DigestMismatch { .. }, false))));
    }

    fn judge_encoded(encoding: &str, bytes: &[u8], elements: usize, piece: usize) -> Result<(), WireError> {
        let layout = layout(elements);
        let encoding = Some(encoding.parse().unwrap());
        let form = UpdateForm { encoding, elements: layout.elements(), bytes: bytes.len() as u64 };
        let mut check = ContentCheck::new(form);
        bytes.chunks(piece).for_each(|piece| check.update(piece));
        check.finish(Digest::of(bytes), &layout).map_err(|wrong| {
            assert!(wrong.as_announced);
            wrong.error
        })
    }

    #[test]
    fn encoded_updates_are_usable_however_they_are_cut() {
        let elements = BLOCK_ELEMENTS + 1_000;
        let values: Vec<f32> = (0..elements).map(|n| (n as f32).sin()).collect();
        for name in ["f32+zstd", "bf16", "f16", "int8", "int4", "top-k:0.01", "top-k:0.01+zstd"] {
            let bytes = encode(name.parse().unwrap(), &values, 7).unwrap();
            for piece in [bytes.len(), 4_099, 65_536] {
                assert_eq!(judge_encoded(name, &bytes, elements, piece), Ok(()), "{name}");
            }
            let cut = judge_encoded(name, &bytes[..bytes.len() - 1], elements, 4_099).unwrap_err();
            assert_eq!(cut.reason().as_str(), "UPDATE_ENCODING_INVALID", "{name}: {cut}");
            let longer = [&bytes[..], &[0]].concat();
            let error = judge_encoded(name, &longer, elements, 4_099).unwrap_err();
            assert_eq!(error.reason().as_str(), "UPDATE_ENCODING_INVALID", "{name}: {error}");
        }
    }

    #[test]
    fn an_unusable_value_in_an_encoded_update_is_named_with_its_tensor() {
        let infinite = [&[4, 0, 0, 0][..], &[0, 0], &[0x80, 0x7f]].concat();
        let error = judge_encoded("bf16", &infinite, 2, 3).unwrap_err();
        assert!(matches!(&error, WireError::Model(ModelError::NotFinite { element: 1, .. })), "{error:?}");
        assert!(error.to_string().contains("`w`"), "{error}");
    }
}
