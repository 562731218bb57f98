use proptest::prelude::*;

use super::*;

/// How many are left to answer each stage.
fn left(participants: usize, dropouts: &BTreeMap<usize, Stage>) -> BTreeMap<Stage, u32> {
    let left = |stage: Stage| {
        let gone = dropouts.values().filter(|at| **at <= stage).count();
        (stage, u32::try_from(participants - gone).unwrap())
    };
    STAGES.map(left).into()
}

/// What the protocol promises on the complete graph: enough keys to begin, and then a quorum at every stage, which is as
/// many as the threshold.
fn is_enough(header: &Header, participants: usize, dropouts: &BTreeMap<usize, Stage>) -> bool {
    let left = left(participants, dropouts);
    let roster = left[&Stage::AdvertiseKeys];
    if roster < header.terms.min_cohort() {
        return false;
    }
    let parameters = header.terms.parameters(roster).unwrap();
    assert_eq!(parameters.quorum(), u32::from(parameters.threshold()));
    let least = parameters.quorum().max(header.terms.min_survivors());
    left[&Stage::ShareKeys] >= least
        && left[&Stage::MaskedInput] >= least
        && left[&Stage::Consistency] >= parameters.quorum()
        && left[&Stage::Unmask] >= parameters.quorum()
}

fn check(header: &Header, participants: usize, dropouts: &BTreeMap<usize, Stage>, seed: u64) {
    let found = Bench::new(header.clone(), participants, seed).run(dropouts);
    let enough = is_enough(header, participants, dropouts);
    match found {
        Ok(found) => {
            assert!(enough, "{dropouts:?} gave a sum");
            assert_eq!(found, sum(survivors(participants, dropouts)), "{dropouts:?}");
        }
        Err(error) => assert!(!enough, "{dropouts:?}: {error:?}"),
    }
}

/// Every pattern in which each of so many participants drops out at one of the stages or at none. Patterns that begin alike
/// have that beginning in common: what was done until then is not done again.
fn exhaustively(participants: usize) {
    let header = header(u32::try_from(participants).unwrap(), 3, 0.333_333, 0.1);
    let bench = Bench::new(header, participants, 1);
    assert_eq!(
        from_stage(&bench, &STAGES, &BTreeMap::new()),
        6_usize.pow(u32::try_from(participants).unwrap())
    );
}

/// Tries every subset of those who are left as the ones who drop out at the first of these stages, and so on; gives how many
/// patterns that were.
fn from_stage(bench: &Bench, stages: &[Stage], dropouts: &BTreeMap<usize, Stage>) -> usize {
    let participants = bench.participants.len();
    let Some((stage, later)) = stages.split_first() else {
        assert!(is_enough(&bench.header, participants, dropouts), "{dropouts:?} gave a sum");
        let found = bench.unmask().unwrap();
        assert_eq!(found, sum(survivors(participants, dropouts)), "{dropouts:?}");
        return 1;
    };
    let present: Vec<usize> = (0..participants).filter(|index| !dropouts.contains_key(index)).collect();
    let mut patterns = 0;
    for subset in 0_usize..1 << present.len() {
        let gone = present.iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1);
        let gone: Vec<usize> = gone.map(|(_, index)| *index).collect();
        let mut dropouts = dropouts.clone();
        dropouts.extend(gone.iter().map(|index| (*index, *stage)));
        let mut next = bench.clone();
        patterns += match next.stage(*stage, gone) {
            Ok(()) if later.is_empty() && next.coordinator.unmasking().is_err() => {
                assert!(!is_enough(&bench.header, participants, &dropouts), "{dropouts:?}");
                1
            }
            Ok(()) => from_stage(&next, later, &dropouts),
            Err(error) => {
                assert!(!is_enough(&bench.header, participants, &dropouts), "{dropouts:?}: {error:?}");
                // However the others go on.
                (later.len() + 1).pow(u32::try_from(participants - dropouts.len()).unwrap())
            }
        };
    }
    patterns
}

#[test]
fn the_masked_sum_is_the_plain_sum_for_every_dropout_pattern_of_up_to_six() {
    (3..=6).for_each(exhaustively);
}

/// A session of up to 40 on the complete graph, of whom up to a third drop out.
fn of_many() -> impl Strategy<Value = (usize, BTreeMap<usize, Stage>, u64)> {
    let stage = prop::sample::select(STAGES.to_vec());
    (7_usize..=40).prop_flat_map(move |participants| {
        let dropouts = prop::collection::btree_map(0..participants, stage.clone(), 0..=participants / 2);
        (Just(participants), dropouts, any::<u64>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_masked_sum_is_the_plain_sum_for_dropout_patterns_of_many((participants, dropouts, seed) in of_many()) {
        check(&header(40, 3, 0.333_333, 0.1), participants, &dropouts, seed);
    }
}

/// On the ring neither the graph nor the threshold let every pattern through: those that do not fail must be right, and
/// with a few dropouts anywhere none may fail.
#[test]
fn the_masked_sum_is_the_plain_sum_for_three_hundred_on_the_ring() {
    let header = header(300, 280, 0.05, 0.05);
    let mut entropy = ChaCha20Rng::seed_from_u64(300);
    let mut dropouts = BTreeMap::new();
    for stage in STAGES {
        for _ in 0..3 {
            let index = rand_chacha::rand_core::RngCore::next_u32(&mut entropy) % 300;
            dropouts.insert(usize::try_from(index).unwrap(), stage);
        }
    }
    let found = Bench::new(header, 300, 1).run(&dropouts).unwrap();
    assert_eq!(found, sum(survivors(300, &dropouts)));
}
