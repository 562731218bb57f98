use crate::fault::Fault;

/// Why a key or a signature cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Agreement with this key gives zero, whatever the own secret is.
    #[error("expected a public key of large order, found one with which everybody agrees on zero")]
    LowOrder,
    /// The signature is not this key's over this message.
    #[error("expected a signature of this message by {key}")]
    Signature {
        /// The key that should have signed.
        key: super::VerifyingPublic,
    },
    /// The text is not a key, or whatever it should be.
    #[error("`{found}` is not {kind}: expected {expected} hexadecimal characters")]
    Hex {
        /// What it should be.
        kind: &'static str,
        /// How many characters that has.
        expected: usize,
        /// The text found, cut to 160 characters.
        found: String,
    },
    /// The text is not a signing key. It is not shown: it may be one that was damaged.
    #[error("expected 64 hexadecimal characters of a signing key, found something else")]
    SecretHex,
    /// The bytes are not a key, or whatever they should be.
    #[error("expected {expected} bytes for {kind}, found {found}")]
    Length {
        /// What it should be.
        kind: &'static str,
        /// How many bytes that has.
        expected: usize,
        /// How many bytes were found.
        found: usize,
    },
    /// The cipher refused a key or a message of the right length.
    #[error("expected AES-256-GCM to take a key of 32 bytes and a short message")]
    Cipher,
}

impl KeyError {
    /// Whose fault it is: text is written by people, everything else comes from a peer.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::LowOrder | Self::Signature { .. } | Self::Length { .. } => Fault::Peer,
            Self::Hex { .. } | Self::SecretHex => Fault::Caller,
            Self::Cipher => Fault::Bug,
        }
    }
}
