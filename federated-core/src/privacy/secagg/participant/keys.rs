use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rand_chacha::rand_core::CryptoRng;

use super::{Masked, ParticipantError, Site};
use crate::privacy::secagg::{
    AdvertiseKeys, Cohort, Delivery, Header, Index, Mask, MaskSecret, Roster, SealSecret, SelfMaskSecret,
    ShareKeys, SharePair, Sign, open, pair_seed, seal, self_seed, split,
};

/// What is secret of a participant in one session.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
struct Secrets {
    seal: SealSecret,
    mask: MaskSecret,
    self_mask: SelfMaskSecret,
}

/// R0 is done: the keys are out. Waits for the roster.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct AdvertisedKeys {
    site: Arc<Site>,
    header: Header,
    secrets: Secrets,
    mine: AdvertiseKeys,
}

impl AdvertisedKeys {
    /// Makes the keys of a session, which are told to the coordinator.
    #[must_use]
    pub fn begin(site: Arc<Site>, header: Header, entropy: &mut dyn CryptoRng) -> (Self, AdvertiseKeys) {
        let secrets = Secrets {
            seal: SealSecret::generate(entropy),
            mask: MaskSecret::generate(entropy),
            self_mask: SelfMaskSecret::generate(entropy),
        };
        let (seal, mask) = (secrets.seal.public(), secrets.mask.public());
        let commitment = secrets.self_mask.commitment();
        let signed = AdvertiseKeys::signed_bytes(&site.name, &seal, &mask, &commitment, &header.hash());
        let mine = AdvertiseKeys { seal, mask, commitment, signature: site.signing.sign(&signed) };
        (Self { site, header, secrets, mine: mine.clone() }, mine)
    }

    /// Checks the roster against the pinned one, and shares the secrets out among the neighbours: R1.
    ///
    /// # Errors
    /// [`ParticipantError`] when the roster is not what this site agrees to, is not signed by the pinned keys for this very
    /// header, or holds a key that cannot be used.
    pub fn roster(
        self,
        roster: &Roster,
        entropy: &mut dyn CryptoRng,
    ) -> Result<(SharedKeys, ShareKeys), ParticipantError> {
        let Self { site, header, secrets, mine } = self;
        let terms = &header.terms;
        let found = u32::try_from(roster.0.len()).unwrap_or(u32::MAX);
        let least = site.min_cohort.max(terms.min_cohort());
        if found < least {
            return Err(ParticipantError::SmallCohort { least, found });
        }
        if found > terms.max_cohort() {
            return Err(ParticipantError::LargeCohort { most: terms.max_cohort(), found });
        }
        check_signatures(&site, &header, roster)?;
        let cohort = Cohort::new(&header.to_bytes(), terms, roster)?;
        let (least, found) = (site.min_threshold, cohort.parameters.threshold());
        if found < least {
            return Err(ParticipantError::LowThreshold { least, found });
        }
        let me = cohort.index(&site.name).filter(|me| cohort.keys(*me) == Some(&mine));
        let me = me.ok_or(ParticipantError::NotMine)?;
        let shares = share_out(&cohort, me, &secrets, entropy)?;
        Ok((SharedKeys { site, header, cohort: Arc::new(cohort), me, secrets, own: shares.0 }, shares.1))
    }
}

/// Everyone is agreed on, has signed for this header, and has keys of its own.
fn check_signatures(site: &Site, header: &Header, roster: &Roster) -> Result<(), ParticipantError> {
    let (hash, mut seen) = (header.hash(), BTreeSet::new());
    for (name, keys) in &roster.0 {
        let stranger = || ParticipantError::Stranger { name: name.to_string() };
        let pinned = site.roster.key(name).ok_or_else(stranger)?;
        let signed = AdvertiseKeys::signed_bytes(name, &keys.seal, &keys.mask, &keys.commitment, &hash);
        if pinned.verify(&signed, &keys.signature).is_err() {
            return Err(ParticipantError::RosterSignature { name: name.to_string() });
        }
        if !seen.insert(keys.seal) || !seen.insert(keys.mask) {
            return Err(ParticipantError::SameKey { name: name.to_string() });
        }
    }
    Ok(())
}

/// The share pair that stays here, and those for the neighbours.
fn share_out(
    cohort: &Cohort,
    me: Index,
    secrets: &Secrets,
    entropy: &mut dyn CryptoRng,
) -> Result<(Option<SharePair>, ShareKeys), ParticipantError> {
    let (holders, threshold) = (cohort.graph.holders(me), cohort.parameters.threshold());
    let count = u8::try_from(holders.len()).unwrap_or(u8::MAX);
    let mask_shares = split(secrets.mask.bytes(), threshold, count, entropy)?;
    let self_shares = split(secrets.self_mask.bytes(), threshold, count, entropy)?;
    let (mut own, mut sealed) = (None, ShareKeys::default());
    for ((holder, mask_secret), self_mask) in holders.into_iter().zip(mask_shares).zip(self_shares) {
        let pair = SharePair { mask_secret, self_mask };
        if holder == me {
            own = Some(pair);
        } else if let Some(keys) = cohort.keys(holder) {
            let unusable = |source| ParticipantError::Key { index: holder, source };
            let shares = seal(&secrets.seal, &keys.seal, &cohort.id, me, holder, &pair).map_err(unusable)?;
            sealed.0.insert(holder, shares);
        }
    }
    Ok((own, sealed))
}

/// R1 is done: the shares are out. Waits for those of the neighbours.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct SharedKeys {
    site: Arc<Site>,
    header: Header,
    cohort: Arc<Cohort>,
    me: Index,
    secrets: Secrets,
    own: Option<SharePair>,
}

impl SharedKeys {
    /// Reads the neighbours' shares. From here on the update can be masked.
    ///
    /// # Errors
    /// [`ParticipantError`] when shares are missing, too many, or cannot be read, or when too few take part.
    pub fn delivery(self, delivery: &Delivery) -> Result<ReadyToMask, ParticipantError> {
        let Self { site, header, cohort, me, secrets, own } = self;
        let shared = &delivery.shared;
        if shared.iter().any(|index| *index >= cohort.len()) {
            return Err(ParticipantError::NotNested);
        }
        if !shared.contains(&me) {
            return Err(ParticipantError::LeftOut);
        }
        let (least, found) = (header.terms.min_survivors(), u32::try_from(shared.len()).unwrap_or(u32::MAX));
        if found < least {
            return Err(ParticipantError::FewSurvivors { least, found });
        }
        let neighbours: BTreeSet<Index> =
            cohort.graph.neighbours(me).filter(|index| shared.contains(index)).collect();
        if !delivery.shares.keys().eq(&neighbours) {
            return Err(ParticipantError::OtherShares { expected: neighbours.len() });
        }
        let mut held: BTreeMap<Index, SharePair> = own.map(|pair| (me, pair)).into_iter().collect();
        for (from, sealed) in &delivery.shares {
            let Some(keys) = cohort.keys(*from) else { continue };
            let pair = open(&secrets.seal, &keys.seal, &cohort.id, *from, me, sealed)
                .map_err(|source| ParticipantError::Shares { index: *from, source })?;
            held.insert(*from, pair);
        }
        let shared = shared.clone();
        Ok(ReadyToMask { site, header, cohort, me, secrets, held, shared, neighbours })
    }
}

/// Everything is there to mask the update with.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct ReadyToMask {
    site: Arc<Site>,
    header: Header,
    cohort: Arc<Cohort>,
    me: Index,
    secrets: Secrets,
    held: BTreeMap<Index, SharePair>,
    shared: BTreeSet<Index>,
    neighbours: BTreeSet<Index>,
}

impl ReadyToMask {
    pub(super) fn cohort(&self) -> &Cohort {
        &self.cohort
    }

    /// What to add to the vector, and what to subtract: its own mask, and one with each neighbour that takes part. With
    /// that the secrets are no longer needed, and are gone.
    ///
    /// # Errors
    /// [`ParticipantError::Key`] when a neighbour's key gives no secret.
    pub fn masks(self) -> Result<(Masked, Vec<Mask>), ParticipantError> {
        let Self { site, header, cohort, me, secrets, held, shared, neighbours } = self;
        let model = &header.model;
        let own = Mask { seed: self_seed(&secrets.self_mask, &cohort.id, me, model), sign: Sign::Add };
        let mut masks = vec![own];
        for index in neighbours {
            let Some(keys) = cohort.keys(index) else { continue };
            let seed = pair_seed(&secrets.mask, &keys.mask, &cohort.id, me, index, model)
                .map_err(|source| ParticipantError::Key { index, source })?;
            masks.push(Mask { seed, sign: sign(me, index) });
        }
        Ok((Masked::new(site, &header.terms, cohort, me, held, shared), masks))
    }
}

/// With which sign the mask of a pair is in the vector of `me`.
pub(in crate::privacy::secagg) const fn sign(me: Index, other: Index) -> Sign {
    if me < other { Sign::Add } else { Sign::Subtract }
}
