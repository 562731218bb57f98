use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    KeyError,
    bytes::{from_hex, public_bytes},
};

public_bytes!(
    /// The public half of a signing key: what a roster pins.
    #[derive(Serialize, Deserialize)]
    VerifyingPublic,
    32,
    "an Ed25519 public key"
);

public_bytes!(
    /// An Ed25519 signature.
    #[derive(Serialize, Deserialize)]
    #[serde(from = "Halves", into = "Halves")]
    Signature,
    64,
    "an Ed25519 signature"
);

impl VerifyingPublic {
    /// Checks that the holder of the secret half signed `message`.
    ///
    /// # Errors
    /// [`KeyError::Signature`] when it did not.
    ///
    /// # References
    /// RFC 8032, section 5.1.7.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), KeyError> {
        UnparsedPublicKey::new(&ED25519, self.as_bytes())
            .verify(message, signature.as_bytes())
            .map_err(|_| KeyError::Signature { key: *self })
    }
}

/// The secret half of a long-lived signing key: a participant's, or the coordinator's.
pub struct SigningSecret {
    seed: Zeroizing<[u8; 32]>,
    public: VerifyingPublic,
}

impl SigningSecret {
    /// The key that follows from a seed of 32 random bytes, the private key in the words of RFC 8032.
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let mut public = [0; 32];
        public.copy_from_slice(key_pair(&seed).public_key().as_ref());
        Self { seed, public: public.into() }
    }

    /// The seed, to be written where the participant keeps its key. It is secret.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The seed as its owner's file has it, 64 hexadecimal characters; [`FromStr`](std::str::FromStr) reads it. It is secret.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
        let digits = self.seed.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        // All at once: memory that a growing text leaves behind is not overwritten.
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.extend(digits);
        text
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> VerifyingPublic {
        self.public
    }

    /// Signs a message. The same message always gets the same signature.
    ///
    /// # References
    /// RFC 8032, section 5.1.6.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        // Made anew each time: ring does not overwrite a key pair when it is dropped, so none is kept.
        let mut bytes = [0; 64];
        bytes.copy_from_slice(key_pair(&self.seed).sign(message).as_ref());
        bytes.into()
    }
}

impl std::str::FromStr for SigningSecret {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let seed = from_hex(text.trim()).map(Zeroizing::new);
        seed.map(Self::from_seed).ok_or(KeyError::SecretHex)
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(..)")
    }
}

#[expect(
    clippy::expect_used,
    reason = "ring refuses a seed for its length alone, and the type has the right one"
)]
fn key_pair(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are a seed")
}

/// A signature for serde, which knows no arrays of 64.
#[derive(Serialize, Deserialize)]
struct Halves([u8; 32], [u8; 32]);

impl From<Halves> for Signature {
    fn from(halves: Halves) -> Self {
        let mut bytes = [0; 64];
        bytes.iter_mut().zip(halves.0.into_iter().chain(halves.1)).for_each(|(byte, half)| *byte = half);
        Self(bytes)
    }
}

impl From<Signature> for Halves {
    fn from(signature: Signature) -> Self {
        let (first, last) = signature.0.split_at(32);
        let mut halves = Self([0; 32], [0; 32]);
        halves.0.copy_from_slice(first);
        halves.1.copy_from_slice(last);
        halves
    }
}
