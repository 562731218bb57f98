use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::{CoordinatorSession, UnmaskError, state::State};
use crate::{
    ids::ParticipantName,
    privacy::secagg::{
        Cohort, Index, Mask, MaskSecret, RevealedShare, SelfMaskSecret, ShareValue, Sign, Unmask, combine,
        pair_seed, participant::sign, self_seed,
    },
};

/// Of the shares of one secret, so many choices are tried before it is given up: enough to find two liars among the shares
/// of a cohort of 20.
const MOST_CHOICES: usize = 2_000;

/// What takes the masks off the sum.
#[derive(Debug)]
pub struct Unmasking {
    /// Added to the sum of the survivors' vectors, they leave the sum of their inputs.
    pub masks: Vec<Mask>,
    /// Who sent shares that are not those it was given.
    pub liars: BTreeSet<ParticipantName>,
}

impl CoordinatorSession {
    /// Rebuilds the secrets of the survivors' own masks, and the mask keys of those who dropped out, each checked against
    /// what was committed to.
    pub(super) fn reveal(&self) -> Result<Unmasking, UnmaskError> {
        let State::Unmask { cohort, shared, survivors, revealed, .. } = &self.state else {
            let of = self.cohort().and_then(|cohort| cohort.name(0)).cloned();
            return match of {
                Some(of) => Err(UnmaskError::TooFew { of, threshold: u8::MAX, found: 0 }),
                None => Err(UnmaskError::Key { index: 0 }),
            };
        };
        let (mut masks, mut liars) = (Vec::new(), BTreeSet::new());
        let model = &self.header.model;
        for index in shared.iter().copied() {
            let survived = survivors.contains(&index);
            let of = |unmask: &Unmask| {
                let shares = if survived { &unmask.self_masks } else { &unmask.mask_secrets };
                shares.get(&index).cloned()
            };
            let shares: Vec<(u8, Index, RevealedShare)> = revealed
                .iter()
                .filter_map(|(holder, unmask)| {
                    // First: most hold no share of this one, and its place among the holders takes a while to find.
                    let share = of(unmask)?;
                    Some((cohort.graph.share_x(index, *holder)?, *holder, share))
                })
                .collect();
            if survived {
                let secret = rebuild(cohort, index, &shares, &mut liars, |secret| {
                    let secret = SelfMaskSecret::from_bytes(secret);
                    (cohort.keys(index)?.commitment == secret.commitment()).then_some(secret)
                })?;
                let seed = self_seed(&secret, &cohort.id, index, model);
                masks.push(Mask { seed, sign: Sign::Subtract });
            } else {
                let secret = rebuild(cohort, index, &shares, &mut liars, |secret| {
                    let secret = MaskSecret::from_bytes(secret);
                    (cohort.keys(index)?.mask == secret.public()).then_some(secret)
                })?;
                for neighbour in cohort.graph.neighbours(index).filter(|other| survivors.contains(other)) {
                    let Some(keys) = cohort.keys(neighbour) else { continue };
                    let seed = pair_seed(&secret, &keys.mask, &cohort.id, index, neighbour, model)
                        .map_err(|_| UnmaskError::Key { index: neighbour })?;
                    // As the one that dropped out would have had it: so it takes away what the neighbour has.
                    masks.push(Mask { seed, sign: sign(index, neighbour) });
                }
            }
        }
        Ok(Unmasking { masks, liars })
    }
}

/// The secret of `of`, from the first choice of shares that gives one that `check` accepts.
fn rebuild<T>(
    cohort: &Cohort,
    of: Index,
    shares: &[(u8, Index, RevealedShare)],
    liars: &mut BTreeSet<ParticipantName>,
    check: impl Fn(Zeroizing<[u8; 32]>) -> Option<T>,
) -> Result<T, UnmaskError> {
    let threshold = cohort.parameters.threshold();
    let name = || cohort.name(of).cloned().ok_or(UnmaskError::Key { index: of });
    let values: Vec<(u8, ShareValue)> =
        shares.iter().map(|(x, _, share)| (*x, ShareValue::from(share))).collect();
    let least = usize::from(threshold);
    if values.len() < least {
        return Err(UnmaskError::TooFew { of: name()?, threshold, found: values.len() });
    }
    let secret_of = |chosen: &[usize]| {
        let chosen: Vec<(u8, &ShareValue)> =
            chosen.iter().filter_map(|place| values.get(*place)).map(|(x, value)| (*x, value)).collect();
        check(combine(threshold, &chosen).ok()?)
    };
    for chosen in choices(values.len(), least).take(MOST_CHOICES) {
        let Some(secret) = secret_of(&chosen) else { continue };
        // Where the first shares gave it nobody is suspected. Else each of the others is put in the place of a good one, which
        // still gives the secret if it is good too.
        let first = chosen.iter().copied().eq(0..least);
        let suspects = (0..values.len()).filter(|place| !first && !chosen.contains(place));
        for suspect in suspects {
            let mut with = chosen.clone();
            if let Some(last) = with.last_mut() {
                *last = suspect;
            }
            if secret_of(&with).is_none() {
                let holder = shares.get(suspect).and_then(|(_, holder, _)| cohort.name(*holder));
                liars.extend(holder.cloned());
            }
        }
        return Ok(secret);
    }
    Err(UnmaskError::Wrong { of: name()? })
}

/// All choices of `count` out of `0..of`, the first ones first.
fn choices(of: usize, count: usize) -> impl Iterator<Item = Vec<usize>> {
    let first = (count <= of).then(|| (0..count).collect::<Vec<usize>>());
    std::iter::successors(first, move |choice| {
        let mut next = choice.clone();
        let place =
            (0..count).rev().find(|place| next.get(*place).is_some_and(|at| *at < of - count + place))?;
        let start = next.get(place)? + 1;
        next.iter_mut().skip(place).zip(start..).for_each(|(slot, value)| *slot = value);
        Some(next)
    })
}
