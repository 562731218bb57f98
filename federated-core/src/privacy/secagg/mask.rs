//! Masks: keystreams that are added to the elements of a vector, and cancel in the sum.

use std::{fmt, ops::Range};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::fault::Fault;

mod sum;
#[cfg(test)]
mod tests;

pub use sum::add;

/// Bytes of keystream under one nonce: 1 MiB.
///
/// A chunk can only be made from its beginning. So ask for ranges of elements that begin where a chunk does
/// ([`Modulus::chunk`]): a range that begins inside one costs the keystream before it too.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Why a mask cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskError {
    /// There is no such modulus.
    #[error("expected a modulus of 16, 24 or 32 bits, found {found}")]
    Modulus {
        /// The bits.
        found: u32,
    },
    /// The bytes are not whole elements.
    #[error("expected whole elements of {element} bytes, found {found} bytes")]
    PartialElement {
        /// Bytes of an element.
        element: usize,
        /// Bytes found.
        found: usize,
    },
    /// Two vectors that are added differ in length.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// The elements lie beyond any vector.
    #[error("expected elements of a vector below 2^64 bytes, found element {found}")]
    Place {
        /// The first element.
        found: u64,
    },
    /// AES-256-GCM refused a key of 32 bytes or a message of at most 1 MiB.
    #[error("expected AES-256-GCM to make a chunk of keystream, and it refused")]
    Cipher,
}

impl MaskError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Modulus { .. } => Fault::Caller,
            Self::PartialElement { .. } | Self::Length { .. } | Self::Place { .. } | Self::Cipher => {
                Fault::Bug
            }
        }
    }
}

/// What the elements of a masked vector are counted modulo: 2^16, 2^24 or 2^32.
///
/// An element travels as that many bits, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
#[non_exhaustive]
pub enum Modulus {
    /// 2^16.
    B16,
    /// 2^24.
    B24,
    /// 2^32.
    B32,
}

impl Modulus {
    /// Bits of an element.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::B16 => 16,
            Self::B24 => 24,
            Self::B32 => 32,
        }
    }

    /// Bytes of an element.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::B16 => 2,
            Self::B24 => 3,
            Self::B32 => 4,
        }
    }

    /// How many chunks of keystream a vector of so many elements begins elements in.
    #[must_use]
    pub const fn chunks(self, elements: u64) -> u64 {
        match elements.checked_sub(1) {
            Some(last) => last.saturating_mul(self.bytes() as u64) / CHUNK_BYTES as u64 + 1,
            None => 0,
        }
    }

    /// The elements, of a vector of so many, that begin in a chunk of the keystream: the range to work on at a time.
    ///
    /// An element of 24 bits may begin in one chunk and end in the next; it belongs to the first.
    #[must_use]
    pub fn chunk(self, chunk: u64, elements: u64) -> Range<u64> {
        let first = |chunk: u64| {
            (u128::from(chunk) * CHUNK_BYTES as u128)
                .div_ceil(self.bytes() as u128)
                .try_into()
                .map_or(elements, |first: u64| first.min(elements))
        };
        first(chunk)..first(chunk.saturating_add(1))
    }
}

impl TryFrom<u32> for Modulus {
    type Error = MaskError;

    fn try_from(bits: u32) -> Result<Self, MaskError> {
        match bits {
            16 => Ok(Self::B16),
            24 => Ok(Self::B24),
            32 => Ok(Self::B32),
            found => Err(MaskError::Modulus { found }),
        }
    }
}

impl From<Modulus> for u32 {
    fn from(modulus: Modulus) -> Self {
        modulus.bits()
    }
}

/// What a keystream is made from: a secret of one participant, or of two.
pub struct MaskSeed(Zeroizing<[u8; 32]>);

impl MaskSeed {
    /// A seed of these bytes.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes, which are secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MaskSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskSeed(..)")
    }
}

/// Whether a mask is added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sign {
    /// It is added.
    Add,
    /// It is taken away.
    Subtract,
}

impl Sign {
    /// The one that undoes it.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Add => Self::Subtract,
            Self::Subtract => Self::Add,
        }
    }
}

/// A mask over a whole vector.
#[derive(Debug)]
pub struct Mask {
    /// What its keystream is made from.
    pub seed: MaskSeed,
    /// What is done with it.
    pub sign: Sign,
}

impl Mask {
    /// Expands the seed into the round keys of AES, once for all chunks: about 600 bytes.
    ///
    /// # Errors
    /// [`MaskError::Cipher`], which a seed of 32 bytes never causes.
    pub fn prepare(&self) -> Result<PreparedMask, MaskError> {
        let key = UnboundKey::new(&AES_256_GCM, self.seed.as_bytes()).map_err(|_| MaskError::Cipher)?;
        Ok(PreparedMask { key: LessSafeKey::new(key), sign: self.sign })
    }
}

/// A [`Mask`] whose keystream can be made.
///
/// # Security
/// ring does not wipe the round keys when it lets go of them.
pub struct PreparedMask {
    key: LessSafeKey,
    sign: Sign,
}

impl PreparedMask {
    /// Makes the beginning of a chunk of the keystream, over zeros.
    fn keystream(&self, chunk: u64, zeros: &mut [u8]) -> Result<(), MaskError> {
        let mut nonce = [0; 12];
        if let Some(place) = nonce.last_chunk_mut() {
            *place = chunk.to_le_bytes();
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        // The tag, which nobody needs, cannot be had without.
        let sealed = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), zeros);
        sealed.map(drop).map_err(|_| MaskError::Cipher)
    }
}

impl fmt::Debug for PreparedMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedMask").field("sign", &self.sign).finish_non_exhaustive()
    }
}

/// A worker's memory for keystream: at most 1 MiB, wiped when dropped. Keep it from range to range.
#[derive(Default)]
pub struct KeystreamBuffer {
    /// Zeros between uses.
    stream: Zeroizing<Vec<u8>>,
}

impl KeystreamBuffer {
    /// A buffer, which takes memory when it is first used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds masks to elements, or takes them away, as their signs say.
    ///
    /// `bytes` are whole elements of a vector, from `first_element` on; the masks are of the whole vector. It works on
    /// a chunk of keystream at a time, all masks over it, and costs about the keystream alone where the range begins
    /// with a chunk ([`Modulus::chunk`]).
    ///
    /// # Errors
    /// [`MaskError::PartialElement`] and [`MaskError::Place`], with nothing changed. After [`MaskError::Cipher`] the
    /// bytes are of no use, and must not leave.
    pub fn apply(
        &mut self,
        modulus: Modulus,
        masks: &[PreparedMask],
        first_element: u64,
        bytes: &mut [u8],
    ) -> Result<(), MaskError> {
        let element = modulus.bytes();
        sum::check_whole(modulus, bytes)?;
        let mut place = first_element
            .checked_mul(element as u64)
            .filter(|place| place.checked_add(bytes.len() as u64).is_some())
            .ok_or(MaskError::Place { found: first_element })?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (chunk, skipped) = (place / CHUNK_BYTES as u64, place % CHUNK_BYTES as u64);
            let skipped = usize::try_from(skipped).unwrap_or_default();
            // The elements that begin in this chunk.
            let most = (CHUNK_BYTES - skipped).div_ceil(element) * element;
            let (piece, after) = rest.split_at_mut(most.min(rest.len()));
            for mask in masks {
                self.apply_one(modulus, mask, chunk, skipped, piece)?;
            }
            place += piece.len() as u64;
            rest = after;
        }
        Ok(())
    }

    fn apply_one(
        &mut self,
        modulus: Modulus,
        mask: &PreparedMask,
        chunk: u64,
        skipped: usize,
        piece: &mut [u8],
    ) -> Result<(), MaskError> {
        let end = skipped + piece.len();
        if self.stream.len() < end {
            self.stream = Zeroizing::new(vec![0; end]);
        }
        let stream = self.stream.get_mut(..end).unwrap_or_default();
        // Where the last element ends in the next chunk, the beginning of that one follows.
        let (this, next) = stream.split_at_mut(end.min(CHUNK_BYTES));
        mask.keystream(chunk, this)?;
        if !next.is_empty() {
            mask.keystream(chunk + 1, next)?;
        }
        sum::combine(modulus, mask.sign, piece, stream.get(skipped..).unwrap_or_default());
        stream.fill(0);
        Ok(())
    }
}

impl fmt::Debug for KeystreamBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeystreamBuffer(..)")
    }
}

/// [`KeystreamBuffer::apply`] for a vector that is there as a whole, with a buffer of its own.
///
/// # Errors
/// As [`KeystreamBuffer::apply`].
///
/// # Examples
/// ```
/// use federated_core::privacy::secagg::{Mask, MaskSeed, Modulus, Sign, apply};
///
/// let mask = |sign| Mask { seed: MaskSeed::new([7; 32].into()), sign }.prepare();
/// let mut vector = *b"four elements...";
/// apply(Modulus::B32, &[mask(Sign::Add)?], 0, &mut vector)?;
/// assert_ne!(&vector, b"four elements...");
/// apply(Modulus::B32, &[mask(Sign::Subtract)?], 0, &mut vector)?;
/// assert_eq!(&vector, b"four elements...");
/// # Ok::<(), federated_core::privacy::secagg::MaskError>(())
/// ```
pub fn apply(
    modulus: Modulus,
    masks: &[PreparedMask],
    first_element: u64,
    bytes: &mut [u8],
) -> Result<(), MaskError> {
    KeystreamBuffer::new().apply(modulus, masks, first_element, bytes)
}
