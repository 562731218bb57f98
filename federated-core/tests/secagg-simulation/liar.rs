//! What a participant sends that lies.

use federated_core::privacy::secagg::{
    Cohort, SealSecret, ShareKeys, SharePair, ShareValue, Unmask, seal, seal::SealedShares,
};
use rand_chacha::{ChaCha20Rng, rand_core::RngCore};

use crate::{names, schedule::Lie};

/// Shares that are not what its neighbours need. `entropy` is as it was when the participant drew its secrets: so the
/// first of them can be drawn again, and shares sealed that open well.
pub(crate) fn share(
    lie: Lie,
    cohort: &Cohort,
    site: usize,
    entropy: &mut ChaCha20Rng,
    shares: &mut ShareKeys,
) {
    let Some(me) = cohort.index(names::name(site)) else { return };
    let secret = SealSecret::generate(entropy);
    let others = 0..cohort.len();
    let one = others.clone().rev().find(|index| *index != me);
    let mut wrong = |to: u32| {
        let mut value = || {
            let mut bytes = [0; 32];
            entropy.fill_bytes(&mut bytes);
            ShareValue::from_bytes(bytes)
        };
        let pair = SharePair { mask_secret: value(), self_mask: value() };
        let keys = cohort.keys(to).expect("a neighbour");
        seal(&secret, &keys.seal, &cohort.id, me, to, &pair).expect("a key that was checked")
    };
    match lie {
        Lie::WrongToAll => shares.0.extend(others.filter(|to| *to != me).map(|to| (to, wrong(to)))),
        Lie::WrongToOne => shares.0.extend(one.map(|to| (to, wrong(to)))),
        Lie::Missing => shares.0.retain(|to, _| Some(*to) != one),
        Lie::Broken => {
            if let Some(sealed) = one.and_then(|to| shares.0.get_mut(&to)) {
                let mut bytes = *sealed.as_bytes();
                bytes[0] ^= 1;
                *sealed = SealedShares::try_from(bytes.as_slice()).expect("as long as before");
            }
        }
        Lie::Revealed => {}
    }
}

/// A wrong share of the first one that there is one of, those who dropped out before others.
pub(crate) fn reveal(unmask: &mut Unmask) -> bool {
    let mut shares = unmask.mask_secrets.values_mut().chain(unmask.self_masks.values_mut());
    shares.next().is_some_and(|share| {
        let mut bytes = *share.as_bytes();
        bytes[0] ^= 1;
        *share = bytes.into();
        true
    })
}
