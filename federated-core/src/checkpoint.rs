//! State as bytes that survive a restart.
//!
//! A checkpoint is `"FEDC"`, a version byte, the BLAKE3 digest of the payload, and the payload in bincode's standard
//! encoding. This module alone names bincode, so that another encoding can follow under another version byte.

use serde::{Serialize, de::DeserializeOwned};

use crate::{fault::Fault, ids::Digest};

const MAGIC: &[u8; 4] = b"FEDC";
const VERSION: u8 = 5;
const HEADER: usize = 4 + 1 + 32;
/// Largest payload that is read, in bytes: a bound on what a damaged length can make the reader allocate.
const MAX_PAYLOAD: usize = 256 << 20;

/// Why a checkpoint cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The state cannot be encoded.
    #[error("the state cannot be encoded: {detail}")]
    Encode {
        /// What the encoder says.
        detail: String,
    },
    /// The bytes are no checkpoint, or a part of one.
    #[error("expected a checkpoint, found {found} bytes that do not begin like one")]
    NotACheckpoint {
        /// How many bytes there are.
        found: usize,
    },
    /// The checkpoint was written by another version.
    #[error(
        "expected checkpoint version {VERSION}, found {found}: run the version of the software that wrote it"
    )]
    Version {
        /// The version found.
        found: u8,
    },
    /// The payload is damaged.
    #[error("the checkpoint is damaged: its payload does not have the digest in its header")]
    Damaged,
    /// The payload has another shape than expected.
    #[error("the checkpoint cannot be decoded: {detail}")]
    Decode {
        /// What the decoder says.
        detail: String,
    },
}

impl CheckpointError {
    /// Whose fault it is: mostly the disk's.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Encode { .. } | Self::Decode { .. } => Fault::Bug,
            Self::NotACheckpoint { .. } | Self::Version { .. } | Self::Damaged => Fault::Environment,
        }
    }
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_PAYLOAD>()
}

/// Encodes a state.
///
/// # Errors
/// [`CheckpointError::Encode`] when the state is larger than 256 MiB or holds something that cannot be encoded.
pub fn encode<T: Serialize>(state: &T) -> Result<Vec<u8>, CheckpointError> {
    let payload = bincode::serde::encode_to_vec(state, config())
        .map_err(|error| CheckpointError::Encode { detail: error.to_string() })?;
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(Digest::of(&payload).as_bytes());
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// Decodes a state.
///
/// # Errors
/// [`CheckpointError`] when the bytes are not a whole, undamaged checkpoint of this version and type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CheckpointError> {
    let not_a_checkpoint = CheckpointError::NotACheckpoint { found: bytes.len() };
    let Some((header, payload)) = bytes.split_at_checked(HEADER) else {
        return Err(not_a_checkpoint);
    };
    let Some(([version], digest)) = header.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<1>())
    else {
        return Err(not_a_checkpoint);
    };
    if *version != VERSION {
        return Err(CheckpointError::Version { found: *version });
    }
    if Digest::of(payload).as_bytes() != digest {
        return Err(CheckpointError::Damaged);
    }
    match bincode::serde::decode_from_slice(payload, config()) {
        Ok((state, read)) if read == payload.len() => Ok(state),
        Ok((_, read)) => {
            Err(CheckpointError::Decode { detail: format!("{} bytes are left over", payload.len() - read) })
        }
        Err(error) => Err(CheckpointError::Decode { detail: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cut_and_no_flipped_bit_goes_unnoticed() {
        let state = vec![("a".to_owned(), 7_u64), ("b".to_owned(), 9)];
        let bytes = encode(&state).unwrap();
        assert_eq!(decode::<Vec<(String, u64)>>(&bytes).unwrap(), state);
        for end in 0..bytes.len() {
            assert!(decode::<Vec<(String, u64)>>(&bytes[..end]).is_err(), "cut at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<Vec<(String, u64)>>(&damaged).is_err(), "bit {bit}");
        }
    }
}
