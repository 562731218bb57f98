use std::num::NonZeroUsize;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use federated_core::ids::Fingerprint;

/// Shards that each participant gets under [`Partition::Shards`].
const SHARDS_EACH: usize = 2;

/// Who gets which images.
///
/// # References
/// McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017, section 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Partition {
    /// Shuffled, then dealt out evenly.
    Iid,
    /// Sorted by label, cut into shards, and two shards dealt to each: most participants know two or three digits.
    Shards,
}

impl Partition {
    /// The places of each participant's images. Every image goes to one of them.
    pub(crate) fn divide(
        self,
        labels: &[u8],
        participants: NonZeroUsize,
        seed: u64,
    ) -> Result<Vec<Vec<usize>>> {
        let pieces = participants.get() * if self == Self::Shards { SHARDS_EACH } else { 1 };
        ensure!(
            pieces <= labels.len(),
            "expected at least {pieces} images for {participants} participants, found {}",
            labels.len()
        );
        Ok(match self {
            Self::Iid => cut(&shuffled(labels.len(), "image", seed), pieces),
            Self::Shards => {
                let mut places: Vec<usize> = (0..labels.len()).collect();
                // Stable: images of one label stay in the order of the file.
                places.sort_by_key(|place| labels.get(*place));
                let shards = cut(&places, pieces);
                let order = shuffled(pieces, "shard", seed);
                let dealt = order.chunks(SHARDS_EACH);
                dealt
                    .map(|some| {
                        some.iter().filter_map(|shard| shards.get(*shard)).flatten().copied().collect()
                    })
                    .collect()
            }
        })
    }
}

/// The numbers below `count` in the order of SHA-256 digests, which is the same on every machine and with every version
/// of every random number generator.
fn shuffled(count: usize, what: &str, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|number| Fingerprint::of(format!("mnist {what} {seed} {number}").as_bytes()));
    order
}

/// Pieces whose lengths differ by one at most.
fn cut(places: &[usize], pieces: usize) -> Vec<Vec<usize>> {
    let bound = |piece: usize| piece * places.len() / pieces;
    (0..pieces).filter_map(|piece| Some(places.get(bound(piece)..bound(piece + 1))?.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn partition() -> impl Strategy<Value = Partition> {
        prop_oneof![Just(Partition::Iid), Just(Partition::Shards)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_image_goes_to_one_participant_and_the_shares_are_even(
            labels in prop::collection::vec(0_u8..10, 20..200),
            participants in 1_usize..11,
            partition in partition(),
            seed in any::<u64>(),
        ) {
            let shares = partition.divide(&labels, participants.try_into().unwrap(), seed).unwrap();
            prop_assert_eq!(shares.len(), participants);
            let mut all = shares.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            let lengths = || shares.iter().map(Vec::len);
            prop_assert!(lengths().max().unwrap() - lengths().min().unwrap() <= SHARDS_EACH);
        }
    }

    #[test]
    fn shards_of_even_classes_give_a_participant_two_digits_at_most() {
        let labels: Vec<u8> = (0..1000_u16).map(|number| (number % 10) as u8).collect();
        let digits = |partition: Partition| -> Vec<usize> {
            let shares = partition.divide(&labels, 10.try_into().unwrap(), 7).unwrap();
            let distinct =
                |share: &Vec<usize>| share.iter().map(|place| labels[*place]).collect::<BTreeSet<_>>().len();
            shares.iter().map(distinct).collect()
        };
        assert!(digits(Partition::Shards).into_iter().all(|digits| digits <= 2));
        assert!(digits(Partition::Iid).into_iter().all(|digits| digits == 10));
    }

    #[test]
    fn the_seed_decides() {
        let labels = [0; 50];
        let divide = |seed| Partition::Iid.divide(&labels, 5.try_into().unwrap(), seed).unwrap();
        assert_eq!(divide(1), divide(1));
        assert_ne!(divide(1), divide(2));
    }

    #[test]
    fn more_participants_than_images_are_refused() {
        let refused = Partition::Shards.divide(&[0; 3], 2.try_into().unwrap(), 0).unwrap_err();
        assert!(refused.to_string().contains("at least 4 images for 2 participants, found 3"), "{refused}");
    }
}
