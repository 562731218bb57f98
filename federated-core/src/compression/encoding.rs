use std::{fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{CompressionError, quantize::Width, top_k};

/// Elements in a block; the last block of an update has what is left.
pub const BLOCK_ELEMENTS: usize = 65_536;

/// Bytes of the length before each payload.
pub(super) const PREFIX_BYTES: usize = 4;

/// How many blocks this many elements make.
#[must_use]
pub const fn block_count(elements: u64) -> u64 {
    elements.div_ceil(BLOCK_ELEMENTS as u64)
}

/// How many elements the block at `index` has; `None` when there is no such block.
#[must_use]
pub fn block_elements(elements: u64, index: u64) -> Option<usize> {
    let start = index.checked_mul(BLOCK_ELEMENTS as u64)?;
    let left = elements.checked_sub(start).filter(|left| *left > 0)?;
    Some(usize::try_from(left).unwrap_or(BLOCK_ELEMENTS).min(BLOCK_ELEMENTS))
}

/// A share of elements above 0 and up to 1, in whole millionths.
///
/// An integer, so that every participant in every language keeps the same number of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Fraction(u32);

impl Fraction {
    /// This many millionths: 10,000 are one hundredth.
    ///
    /// # Errors
    /// [`CompressionError::Fraction`] for 0 and for more than 1,000,000.
    pub fn from_millionths(millionths: u32) -> Result<Self, CompressionError> {
        if (1..=1_000_000).contains(&millionths) {
            Ok(Self(millionths))
        } else {
            Err(CompressionError::Fraction { found: f64::from(millionths) / 1e6 })
        }
    }

    /// The fraction as a number, for instance 0.01.
    ///
    /// # Errors
    /// [`CompressionError::Fraction`] when it is not between a millionth and 1, or has more than six decimal places.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be 1 to 1,000,000"
    )]
    pub fn new(fraction: f64) -> Result<Self, CompressionError> {
        let millionths = (fraction * 1e6).round();
        let whole = (fraction * 1e6 - millionths).abs() < 1e-6;
        if !(whole && (1.0..=1e6).contains(&millionths)) {
            return Err(CompressionError::Fraction { found: fraction });
        }
        Self::from_millionths(millionths as u32)
    }

    /// The fraction in millionths.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// The fraction of `elements`, rounded up.
    #[must_use]
    pub fn of(self, elements: u64) -> u64 {
        let product = u128::from(elements) * u128::from(self.0);
        u64::try_from(product.div_ceil(1_000_000)).unwrap_or(elements)
    }
}

impl TryFrom<u32> for Fraction {
    type Error = CompressionError;

    fn try_from(millionths: u32) -> Result<Self, CompressionError> {
        Self::from_millionths(millionths)
    }
}

impl From<Fraction> for u32 {
    fn from(fraction: Fraction) -> Self {
        fraction.0
    }
}

/// How a value becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Codec {
    /// 32-bit floats, as they are. Lossless.
    F32,
    /// The upper half of a 32-bit float: 8 exponent bits, 7 fraction bits.
    ///
    /// Rounded to nearest, ties to even: the error is at most 2^-8 of the value (2^-134 below 2^-126). A magnitude that
    /// would be rounded to 2^31 becomes the largest below it. Not unbiased: equal values are rounded equally.
    Bf16,
    /// IEEE 754 binary16: 5 exponent bits, 10 fraction bits.
    ///
    /// Rounded to nearest, ties to even: the error is at most 2^-11 of the value, and at most 2^-25 below 2^-14. So
    /// values of an update below 1e-5 keep few digits. Magnitudes from 65,520 on are refused when encoding. Not
    /// unbiased.
    F16,
    /// Integers from -127 to 127, and a scale for each group of [`GROUP_ELEMENTS`](super::GROUP_ELEMENTS) elements.
    ///
    /// The scale `s`, the *step*, is the largest magnitude of the group divided by 127, rounded up to 16 significant
    /// bits and at least 2^-100. A value becomes one of the two multiples of `s` around it, at random, the nearer one
    /// the more often: `x = (q + f) s` becomes `(q + 1) s` with probability `f`. So its expectation is `x`, its error
    /// below `s`, its variance `f (1 - f) s^2`, at most `s^2 / 4`. The mean of `n` updates of equal weight has that
    /// variance divided by `n`, if their seeds differ.
    ///
    /// Two roundings bound how exact "unbiased" is: `f` is a multiple of 2^-23, and the division rounds to `f32`. The
    /// expectation is within `2^-22 |x| + 2^-24 s` of `x`. Magnitudes above (1 - 2^-14) 2^31 are cut to what 127 steps
    /// reach below 2^31.
    ///
    /// # References
    /// Alistarh et al., "QSGD: Communication-Efficient SGD via Gradient Quantization and Encoding", NeurIPS 2017,
    /// section 3.1 and, for the scale by the largest magnitude of a bucket, section 4.
    Int8,
    /// Integers from -7 to 7, two to a byte, and a scale for each group, as in [`Codec::Int8`]: a step is the group's
    /// largest magnitude divided by 7.
    Int4,
    /// The elements of largest magnitude, with their places: this fraction of the whole update, rounded up.
    ///
    /// What is sent is exact, all else is 0. Of equal magnitudes the first is sent; zeros never are. Biased: use it
    /// with [`ErrorFeedback`](super::ErrorFeedback), without which training may not converge. For an update `x` of `d`
    /// elements of which `k` are kept, `|x - decoded|^2 <= (1 - k/d) |x|^2` in the Euclidean norm.
    ///
    /// # References
    /// Stich, Cordonnier and Jaggi, "Sparsified SGD with Memory", NeurIPS 2018, definition 2.1 and lemma A.1.
    TopK(Fraction),
}

/// How the values of an update travel: a codec, with or without zstd on top.
///
/// As text, and in `Display`: the codec's name (`f32`, `bf16`, `f16`, `int8`, `int4`, `top-k:0.01`), with `+zstd`
/// behind it where zstd is used.
///
/// # Examples
/// ```
/// use federated_core::compression::{Codec, Encoding};
///
/// let encoding: Encoding = "top-k:0.01+zstd".parse()?;
/// assert!(matches!(encoding.codec, Codec::TopK(fraction) if fraction.of(1_000) == 10));
/// assert!(encoding.zstd);
/// assert_eq!(encoding.to_string(), "top-k:0.01+zstd");
/// # Ok::<(), federated_core::compression::CompressionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Encoding {
    /// How a value becomes bytes.
    pub codec: Codec,
    /// Whether each block is compressed with zstd afterwards. Lossless, and slow beside the codecs.
    ///
    /// On updates like Gaussian noise it saves a fifth of f32, bf16 and top-k, a tenth of f16, a fifteenth of int8 and a
    /// sixth of int4; more where many values are zero. For f32 it takes some 15 ms to compress a million elements, so it
    /// is of use on networks slower than about 500 Mbit/s.
    pub zstd: bool,
}

impl Encoding {
    /// Little-endian `f32`, four bytes an element, without blocks.
    pub const PLAIN: Self = Self::new(Codec::F32);

    /// The codec alone.
    #[must_use]
    pub const fn new(codec: Codec) -> Self {
        Self { codec, zstd: false }
    }

    /// The codec, and zstd on top of it.
    #[must_use]
    pub const fn with_zstd(codec: Codec) -> Self {
        Self { codec, zstd: true }
    }

    /// Whether this is [`Encoding::PLAIN`], the only form without lengths between blocks.
    #[must_use]
    pub const fn is_plain(self) -> bool {
        matches!(self, Self::PLAIN)
    }

    /// Whether values come back bit for bit.
    #[must_use]
    pub const fn is_lossless(self) -> bool {
        matches!(self.codec, Codec::F32)
    }

    /// Whether the expectation of each decoded value is the value.
    #[must_use]
    pub const fn is_unbiased(self) -> bool {
        matches!(self.codec, Codec::F32 | Codec::Int8 | Codec::Int4)
    }

    /// Fewest and most bytes that the payload of a block of this many elements takes.
    ///
    /// Both are equal for every codec but top-k without zstd.
    #[must_use]
    pub fn payload_bytes(self, block_elements: usize) -> RangeInclusive<usize> {
        let raw = self.raw_payload_bytes(block_elements);
        // Compressing nothing leaves nothing; anything else takes a byte.
        if self.zstd { (*raw.start()).min(1)..=compressed_bound(*raw.end()) } else { raw }
    }

    /// Most bytes that the payload of a block of this many elements takes: what a receiver must be ready to hold.
    #[must_use]
    pub fn max_payload_bytes(self, block_elements: usize) -> usize {
        *self.payload_bytes(block_elements).end()
    }

    /// Fewest and most bytes that an update of this many elements takes, lengths between blocks included.
    ///
    /// Both are equal for every codec but top-k without zstd; then block `n` begins at `encoded_bytes` of `n` times
    /// [`BLOCK_ELEMENTS`].
    #[must_use]
    pub fn encoded_bytes(self, elements: u64) -> RangeInclusive<u64> {
        let (whole, rest) = (elements / BLOCK_ELEMENTS as u64, elements % BLOCK_ELEMENTS as u64);
        let rest = usize::try_from(rest).unwrap_or(0);
        let (full, last) = (self.payload_bytes(BLOCK_ELEMENTS), self.payload_bytes(rest));
        let prefixes = if self.is_plain() { 0 } else { block_count(elements) * PREFIX_BYTES as u64 };
        let total = |full: usize, last: usize| {
            let last = if rest > 0 { last as u64 } else { 0 };
            whole.saturating_mul(full as u64).saturating_add(last).saturating_add(prefixes)
        };
        let (least, most) = (total(*full.start(), *last.start()), total(*full.end(), *last.end()));
        least..=most.min(self.most_when_sparse(elements).saturating_add(prefixes))
    }

    /// Most bytes that an update of this many elements takes, lengths between blocks included.
    #[must_use]
    pub fn max_encoded_bytes(self, elements: u64) -> u64 {
        *self.encoded_bytes(elements).end()
    }

    /// As [`Encoding::payload_bytes`], before zstd.
    pub(super) fn raw_payload_bytes(self, block_elements: usize) -> RangeInclusive<usize> {
        let exact = match self.codec {
            Codec::F32 => block_elements * 4,
            Codec::Bf16 | Codec::F16 => block_elements * 2,
            Codec::Int8 => Width::Int8.payload_bytes(block_elements),
            Codec::Int4 => Width::Int4.payload_bytes(block_elements),
            Codec::TopK(_) => return 0..=block_elements * top_k::ELEMENT_BYTES,
        };
        exact..=exact
    }

    /// The bound that follows from the number of elements that top-k keeps over all blocks.
    fn most_when_sparse(self, elements: u64) -> u64 {
        let Codec::TopK(fraction) = self.codec else { return u64::MAX };
        let raw = fraction.of(elements).saturating_mul(top_k::ELEMENT_BYTES as u64);
        if self.zstd { (raw + raw / 256).saturating_add(64 * block_count(elements)) } else { raw }
    }
}

/// Most bytes that zstd makes of this many: at least its own `ZSTD_COMPRESSBOUND`, in a form that is quickly repeated
/// in another language.
pub(super) const fn compressed_bound(bytes: usize) -> usize {
    bytes + bytes / 256 + 64
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.codec {
            Codec::F32 => f.write_str("f32")?,
            Codec::Bf16 => f.write_str("bf16")?,
            Codec::F16 => f.write_str("f16")?,
            Codec::Int8 => f.write_str("int8")?,
            Codec::Int4 => f.write_str("int4")?,
            Codec::TopK(fraction) => write!(f, "top-k:{}", f64::from(fraction.0) / 1e6)?,
        }
        f.write_str(if self.zstd { "+zstd" } else { "" })
    }
}

impl FromStr for Encoding {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, CompressionError> {
        let (name, zstd) = text.strip_suffix("+zstd").map_or((text, false), |name| (name, true));
        let unknown = || CompressionError::UnknownEncoding { found: text.to_owned() };
        let codec = match name {
            "f32" => Codec::F32,
            "bf16" => Codec::Bf16,
            "f16" => Codec::F16,
            "int8" => Codec::Int8,
            "int4" => Codec::Int4,
            _ => {
                let fraction = name.strip_prefix("top-k:").ok_or_else(unknown)?;
                Codec::TopK(Fraction::new(fraction.parse().map_err(|_| unknown())?)?)
            }
        };
        Ok(Self { codec, zstd })
    }
}
