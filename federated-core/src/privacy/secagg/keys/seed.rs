use ring::digest;
use serde::{Deserialize, Serialize};

use super::{
    AgreementPublic, KeyError, MaskSecret, agree,
    bytes::{public_bytes, secret_bytes},
    hkdf_sha256,
};
use crate::{ids::Digest, privacy::secagg::MaskSeed};

const PAIR: &[u8] = b"flsa/v1 pair-mask";
const SELF: &[u8] = b"flsa/v1 self-mask";
const COMMITMENT: &[u8] = b"flsa/v1 self-mask commitment";

public_bytes!(
    /// What ties everything to one session: the SHA-256 of its header and of every participant's keys.
    #[derive(Serialize, Deserialize)]
    SessionId,
    32,
    "a session's identifier"
);

public_bytes!(
    /// A SHA-256 digest by which a secret is promised before it is known.
    #[derive(Serialize, Deserialize)]
    Commitment,
    32,
    "a commitment"
);

secret_bytes!(
    /// What the mask that a participant shares with nobody is made from, `b_u` in the paper: the others hold shares of it,
    /// and it is rebuilt for whoever stays to the end.
    SelfMaskSecret
);

impl SelfMaskSecret {
    /// What the participant promises before it shares the secret out. It hides the secret because that is random.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(COMMITMENT);
        context.update(self.bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        bytes.into()
    }
}

/// The seed of the mask between participants number `me` and `them`. Both derive the same one, and another one in every
/// session and for every `model`: where they were given different models their masks do not cancel.
///
/// # Errors
/// [`KeyError::LowOrder`] when the other key leaves nothing of the own secret in the seed.
pub fn pair_seed(
    mine: &MaskSecret,
    theirs: &AgreementPublic,
    session: &SessionId,
    me: u32,
    them: u32,
    model: &Digest,
) -> Result<MaskSeed, KeyError> {
    let shared = agree(mine.bytes(), theirs)?;
    let (low, high) = (me.min(them).to_le_bytes(), me.max(them).to_le_bytes());
    let info = [PAIR, &low, &high, model.as_bytes()];
    Ok(MaskSeed::new(hkdf_sha256(session.as_bytes(), &shared[..], &info)))
}

/// The seed of the mask that participant number `me` shares with nobody.
#[must_use]
pub fn self_seed(secret: &SelfMaskSecret, session: &SessionId, me: u32, model: &Digest) -> MaskSeed {
    let info = [SELF, &me.to_le_bytes(), model.as_bytes()];
    MaskSeed::new(hkdf_sha256(session.as_bytes(), secret.bytes(), &info))
}
