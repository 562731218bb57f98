use serde::{Deserialize, Serialize};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{
    KeyError,
    bytes::{public_bytes, secret_bytes},
};

public_bytes!(
    /// An X25519 public key, of masks or of shares.
    ///
    /// # References
    /// RFC 7748, section 6.1.
    #[derive(Serialize, Deserialize)]
    AgreementPublic,
    32,
    "an X25519 public key"
);

secret_bytes!(
    /// The X25519 secret of a participant's masks, `s_sk` in the paper: the others hold shares of it, and whoever
    /// vanishes has it rebuilt.
    MaskSecret
);

secret_bytes!(
    /// The X25519 secret that a participant opens the shares sent to it with, `c_sk` in the paper. It is never shared.
    SealSecret
);

impl MaskSecret {
    /// The key that the others agree with, `s_pk` in the paper.
    #[must_use]
    pub fn public(&self) -> AgreementPublic {
        public(self.bytes())
    }
}

impl SealSecret {
    /// The key that the others agree with, `c_pk` in the paper.
    #[must_use]
    pub fn public(&self) -> AgreementPublic {
        public(self.bytes())
    }
}

fn public(secret: &[u8; 32]) -> AgreementPublic {
    PublicKey::from(&StaticSecret::from(*secret)).to_bytes().into()
}

impl AgreementPublic {
    /// Whether an agreement with it depends on the other's secret: a point of low order gives everyone the same.
    #[must_use]
    pub fn is_contributory(&self) -> bool {
        // Every secret is a multiple of eight, the order of the points in question: which one does not matter.
        agree(&[0; 32], self).is_ok()
    }
}

/// X25519: what the holders of `mine` and of the secret of `theirs` have in common.
///
/// # Errors
/// [`KeyError::LowOrder`] when the other key leaves nothing of the own secret in the result.
///
/// # References
/// RFC 7748, sections 5 and 6.1.
pub fn agree(mine: &[u8; 32], theirs: &AgreementPublic) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let shared = StaticSecret::from(*mine).diffie_hellman(&PublicKey::from(*theirs.as_bytes()));
    if shared.was_contributory() { Ok(Zeroizing::new(shared.to_bytes())) } else { Err(KeyError::LowOrder) }
}
