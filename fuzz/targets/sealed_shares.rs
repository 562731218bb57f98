#![no_main]
//! Shares on their way through a coordinator that would like to change them.

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use federated_core::privacy::secagg::{
    AgreementPublic, SealError, SealSecret, SealedShares, SessionId, SharePair, ShareValue, open, seal,
};
use federated_fuzz::patched;
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

#[derive(Arbitrary, Debug)]
enum Hostile {
    /// Honest ones, with some bytes changed on the way.
    Changed { patches: Vec<(u16, u8)>, session: bool, from: u8, to: u8 },
    /// Anything, from anybody.
    Made { bytes: Vec<u8>, key: [u8; 32], session: [u8; 32], from: u32, to: u32 },
}

struct Road {
    mine: SealSecret,
    theirs: AgreementPublic,
    session: SessionId,
    sealed: SealedShares,
}

static ROAD: LazyLock<Road> = LazyLock::new(|| {
    let secret = |byte| SealSecret::from_bytes(Zeroizing::new([byte; 32]));
    let (mine, other, session) = (secret(1), secret(2), SessionId::from([7; 32]));
    let share = |byte| ShareValue::from_bytes([byte; 32]);
    let pair = SharePair { mask_secret: share(3), self_mask: share(4) };
    let sealed = seal(&other, &mine.public(), &session, 0, 1, &pair).expect("keys of some use");
    Road { mine, theirs: other.public(), session, sealed }
});

fn opened(
    bytes: &[u8],
    theirs: &AgreementPublic,
    session: SessionId,
    from: u32,
    to: u32,
) -> Result<SharePair, SealError> {
    open(&ROAD.mine, theirs, &session, from, to, &SealedShares::try_from(bytes)?)
}

fuzz_target!(|hostile: Hostile| match hostile {
    Hostile::Changed { patches, session, from, to } => {
        let bytes = patched(ROAD.sealed.as_bytes().to_vec(), &patches);
        let same = bytes == ROAD.sealed.as_bytes() && !session && (from, to) == (0, 1);
        let session = if session { SessionId::from([8; 32]) } else { ROAD.session };
        let opened = opened(&bytes, &ROAD.theirs, session, from.into(), to.into());
        assert_eq!(opened.is_ok(), same, "nothing but what was sealed is opened");
    }
    Hostile::Made { bytes, key, session, from, to } => {
        let opened = opened(&bytes, &key.into(), session.into(), from, to);
        assert!(opened.is_err(), "nobody guesses a key");
    }
});
