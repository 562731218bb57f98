//! Shares on their way from one participant to another, through a coordinator that must not read them.
//!
//! Sealed is what [`SealedShares::BYTES`] counts: the number of the sender and of the receiver (u32, little-endian), the
//! share of the mask secret, the share of the self mask's secret, and the tag of AES-256-GCM. The key is HKDF-SHA256 of what
//! the two agree on by X25519, with the session's identifier as salt and `flsa/v1 share`, sender and receiver as info;
//! identifier, sender and receiver are authenticated again beside the text.
//!
//! # Security
//! The nonce is zero, because a key seals once: it is of one session, one sender and one receiver, and a sender makes its
//! shares once a session. Whoever seals two different pairs for the same three gives both away.
//!
//! # References
//! Bonawitz et al., CCS 2017, figure 4, round 1; NIST SP 800-38D.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    keys::{AgreementPublic, KeyError, SealSecret, SessionId, agree, hkdf_sha256},
    shamir::ShareValue,
};
use crate::fault::Fault;

const SHARE: &[u8] = b"flsa/v1 share";
/// Bytes of a participant's number.
const INDEX: usize = 4;
const TEXT: usize = 2 * INDEX + 2 * 32;
const SEALED: usize = TEXT + MAX_TAG_LEN;

/// What a participant gives each holder: a share of each of its two secrets.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct SharePair {
    /// The share of the [`MaskSecret`](super::MaskSecret), given up if the owner vanishes.
    pub mask_secret: ShareValue,
    /// The share of the [`SelfMaskSecret`](super::SelfMaskSecret), given up if the owner stays.
    pub self_mask: ShareValue,
}

/// A [`SharePair`] that only its receiver can read.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct SealedShares([u8; SEALED]);

impl SealedShares {
    /// How many bytes these are, always.
    pub const BYTES: usize = SEALED;

    /// The bytes as they travel.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SEALED] {
        &self.0
    }
}

impl TryFrom<&[u8]> for SealedShares {
    type Error = SealError;

    fn try_from(bytes: &[u8]) -> Result<Self, SealError> {
        let found = bytes.len();
        bytes.try_into().map(Self).map_err(|_| SealError::Length { expected: SEALED, found })
    }
}

impl TryFrom<Vec<u8>> for SealedShares {
    type Error = SealError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, SealError> {
        bytes.as_slice().try_into()
    }
}

impl From<SealedShares> for Vec<u8> {
    fn from(sealed: SealedShares) -> Self {
        sealed.0.into()
    }
}

impl fmt::Debug for SealedShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedShares(..)")
    }
}

/// Why sealed shares cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Sealed shares always have the same length.
    #[error("expected {expected} bytes of sealed shares, found {found}")]
    Length {
        /// What they have.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// They were changed, or are for somebody else, of another session or sealed with another key.
    #[error("expected shares sealed by participant {from} for participant {to} in this session")]
    Forged {
        /// The sender.
        from: u32,
        /// The receiver.
        to: u32,
    },
    /// The key of the other one is of no use.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl SealError {
    /// Whose fault it is: the sender's, or the coordinator's that carried them.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Length { .. } | Self::Forged { .. } => Fault::Peer,
            Self::Key(error) => error.fault(),
        }
    }
}

/// Seals the shares of participant `from`, who calls this, for participant `to`, whose key is `theirs`.
///
/// # Errors
/// [`KeyError::LowOrder`] when the other key leaves nothing of the own secret in the key.
pub fn seal(
    mine: &SealSecret,
    theirs: &AgreementPublic,
    session: &SessionId,
    from: u32,
    to: u32,
    shares: &SharePair,
) -> Result<SealedShares, KeyError> {
    let road = Road { session, from, to };
    let mut text = Zeroizing::new([0; TEXT]);
    let parts =
        [&road.ends()[..], shares.mask_secret.as_bytes().as_slice(), shares.self_mask.as_bytes().as_slice()];
    text.iter_mut().zip(parts.into_iter().flatten()).for_each(|(byte, part)| *byte = *part);
    let tag = road
        .key(mine, theirs)?
        .seal_in_place_separate_tag(nonce(), road.context(), text.as_mut())
        .map_err(|_| KeyError::Cipher)?;
    let mut sealed = [0; SEALED];
    sealed.iter_mut().zip(text.iter().chain(tag.as_ref())).for_each(|(byte, part)| *byte = *part);
    Ok(SealedShares(sealed))
}

/// Opens what participant `from`, whose key is `theirs`, sealed for participant `to`, who calls this.
///
/// # Errors
/// [`SealError`] when it is anything else.
pub fn open(
    mine: &SealSecret,
    theirs: &AgreementPublic,
    session: &SessionId,
    from: u32,
    to: u32,
    sealed: &SealedShares,
) -> Result<SharePair, SealError> {
    let (road, forged) = (Road { session, from, to }, SealError::Forged { from, to });
    let mut bytes = Zeroizing::new(sealed.0);
    let text = road
        .key(mine, theirs)?
        .open_in_place(nonce(), road.context(), bytes.as_mut())
        .map_err(|_| forged.clone())?;
    let (ends, shares) = text.split_first_chunk::<{ 2 * INDEX }>().ok_or_else(|| forged.clone())?;
    match shares.as_chunks::<32>() {
        ([mask_secret, self_mask], []) if *ends == road.ends() => Ok(SharePair {
            mask_secret: ShareValue::from_bytes(*mask_secret),
            self_mask: ShareValue::from_bytes(*self_mask),
        }),
        _ => Err(forged),
    }
}

/// From whom to whom, in which session.
struct Road<'a> {
    session: &'a SessionId,
    from: u32,
    to: u32,
}

impl Road<'_> {
    fn ends(&self) -> [u8; 2 * INDEX] {
        (u64::from(self.to) << 32 | u64::from(self.from)).to_le_bytes()
    }

    fn context(&self) -> Aad<Vec<u8>> {
        Aad::from([&self.session.as_bytes()[..], &self.ends()].concat())
    }

    fn key(&self, mine: &SealSecret, theirs: &AgreementPublic) -> Result<LessSafeKey, KeyError> {
        let shared = agree(mine.bytes(), theirs)?;
        let key = hkdf_sha256::<32>(self.session.as_bytes(), &shared[..], &[SHARE, &self.ends()]);
        UnboundKey::new(&AES_256_GCM, &key[..]).map(LessSafeKey::new).map_err(|_| KeyError::Cipher)
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests;
