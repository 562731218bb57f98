use proptest::prelude::*;

use super::*;
use crate::privacy::secagg::{Grouping, Groups};

const COHORT: usize = 10;

fn grouping(least: u32) -> Grouping {
    Grouping::new(3.try_into().unwrap(), least.try_into().unwrap())
}

fn places(seed: u64) -> BTreeMap<ParticipantName, u32> {
    let task = header(4, 3, 0.34, 0.0).task;
    grouping(2).divide(seed, &task, &(0..COHORT).map(name).collect())
}

/// A cohort of ten in groups of three, three and four, with the participants' sides.
struct Cohort {
    groups: Groups,
    bench: Bench,
    places: BTreeMap<ParticipantName, u32>,
}

impl Cohort {
    fn new(least: u32) -> Self {
        let bench = Bench::new(header(4, 3, 0.34, 0.0), COHORT, 5);
        let places = places(7);
        Self { groups: Groups::new(&bench.coordinator, grouping(least), places.clone()), bench, places }
    }

    /// Those of a group, by number.
    fn members(&self, group: u32) -> Vec<usize> {
        (0..COHORT).filter(|index| self.places[&name(*index)] == group).collect()
    }

    /// Delivers what was said, ends the stage, and tells everyone who is left what follows.
    fn stage(&mut self) -> Result<(), SessionError> {
        for (index, message) in std::mem::take(&mut self.bench.pending) {
            let admitted = self.groups.admit(&name(index), &message, Some(&self.bench.roster))?;
            assert_eq!(admitted, MessageAdmission::Welcome);
            self.groups.receive(&name(index), message);
        }
        self.groups = match self.groups.stage() {
            Stage::Unmask => self.groups.settle()?,
            _ => self.groups.close(&self.bench.masked.keys().map(|index| name(*index)).collect())?,
        };
        for index in 0..COHORT {
            for message in self.groups.messages(&name(index)) {
                self.bench.tell(index, message).expect("nobody lies");
            }
        }
        Ok(())
    }

    /// The whole session. Whoever drops out does so before answering the stage given.
    fn run(
        &mut self,
        dropouts: &BTreeMap<usize, Stage>,
    ) -> Result<BTreeMap<BTreeSet<usize>, Vec<u8>>, SessionError> {
        for stage in STAGES {
            for (index, _) in dropouts.iter().filter(|(_, at)| **at == stage) {
                self.bench.drop_out(*index);
                if stage == Stage::MaskedInput {
                    self.bench.masked.remove(index);
                }
            }
            self.stage()?;
        }
        let sum = |session: &CoordinatorSession| {
            let survivors: BTreeSet<usize> =
                (0..COHORT).filter(|index| session.survivors().contains(&name(*index))).collect();
            let mut sum = vec![0; ELEMENTS * MODULUS.bytes()];
            survivors.iter().for_each(|index| add(MODULUS, &mut sum, &self.bench.masked[index]).unwrap());
            apply(&session.unmasking().unwrap().masks, &mut sum);
            (survivors, sum)
        };
        Ok(self.groups.open().map(sum).collect())
    }
}

#[test]
fn groups_are_dealt_evenly_and_by_the_seed_alone() {
    let (task, names) = (header(4, 3, 0.34, 0.0).task, (0..11).map(name).collect());
    let dealt = grouping(2).divide(1, &task, &names);
    let sizes: Vec<usize> =
        (0..3).map(|group| dealt.values().filter(|place| **place == group).count()).collect();
    assert_eq!(sizes, [4, 4, 3]);
    assert_eq!(grouping(2).divide(1, &task, &names), dealt);
    assert_ne!(grouping(2).divide(2, &task, &names), dealt);
    let next = TaskId { attempt: 2, ..task };
    assert_ne!(grouping(2).divide(1, &next, &names), dealt);
    assert!(Grouping::WHOLE.divide(1, &next, &names).values().all(|place| *place == 0));
}

#[test]
fn each_group_gives_the_sum_of_its_own() {
    let mut cohort = Cohort::new(3);
    let sums = cohort.run(&BTreeMap::new()).unwrap();
    assert_eq!(sums.len(), 3);
    for group in 0..3 {
        let members: BTreeSet<usize> = cohort.members(group).into_iter().collect();
        assert_eq!(sums[&members], sum(members.iter().copied()));
    }
}

#[test]
fn a_group_that_cannot_be_summed_is_left_behind_and_its_members_are_told() {
    let mut cohort = Cohort::new(2);
    let small = (0..3).find(|group| cohort.members(*group).len() == 3).unwrap();
    let members = cohort.members(small);
    let sums = cohort.run(&BTreeMap::from([(members[0], Stage::ShareKeys)])).unwrap();
    assert_eq!(sums.len(), 2);
    for (survivors, found) in sums {
        assert!(!survivors.contains(&members[1]));
        assert_eq!(found, sum(survivors));
    }
    assert!(matches!(cohort.groups.lost(&name(members[1])), Some(SessionError::TooFew { .. })));
    assert!(
        !cohort.groups.concerns(&name(members[1])) && cohort.groups.messages(&name(members[1])).is_empty()
    );
    let late = ParticipantMessage::AdvertiseKeys(keys(&cohort, members[1]));
    let error = cohort.groups.admit(&name(members[1]), &late, None).unwrap_err();
    assert_eq!(error.reason().as_str(), "SECAGG_COHORT");
    assert!(error.to_string().contains("wait for the next task"), "{error}");
    let stranger = cohort.groups.admit(&name(COHORT), &late, None).unwrap_err();
    assert_eq!(stranger.reason().as_str(), "SECAGG_STAGE");
}

fn keys(cohort: &Cohort, index: usize) -> crate::privacy::secagg::AdvertiseKeys {
    let mut entropy = cohort.bench.entropy.clone();
    let site = Site {
        name: name(index),
        signing: signing(index),
        roster: roster(COHORT),
        min_cohort: 3,
        min_threshold: 2,
    };
    AdvertisedKeys::begin(Arc::new(site), cohort.bench.header.clone(), &mut entropy).1
}

#[test]
fn without_enough_groups_nothing_is_unmasked_and_the_error_says_of_which() {
    let mut cohort = Cohort::new(3);
    let small = (0..3).find(|group| cohort.members(*group).len() == 3).unwrap();
    let gone = cohort.members(small)[0];
    let error = cohort.run(&BTreeMap::from([(gone, Stage::MaskedInput)])).unwrap_err();
    assert!(matches!(&error, SessionError::TooFewGroups { least: 3, found: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("2 groups can still be summed, expected at least 3"), "{error}");
}

#[test]
fn vectors_are_counted_group_by_group() {
    let cohort = Cohort::new(2);
    let all: Vec<ParticipantName> = (0..COHORT).map(name).collect();
    assert_eq!(cohort.groups.summable(&all), (3, 0));
    let two: Vec<ParticipantName> =
        [cohort.members(0), cohort.members(1)].concat().into_iter().map(name).collect();
    assert_eq!(cohort.groups.summable(&two), (2, 1));
}

fn dropouts() -> impl Strategy<Value = BTreeMap<usize, Stage>> {
    prop::collection::btree_map(0..COHORT, prop::sample::select(&STAGES[..]), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever drops out when: each sum is right, and there are as many as were asked for, or none.
    #[test]
    fn whatever_groups_are_left_give_right_sums(dropouts in dropouts(), least in 1_u32..=3) {
        let mut cohort = Cohort::new(least);
        match cohort.run(&dropouts) {
            Ok(sums) => {
                prop_assert!(sums.len() >= least as usize);
                let expected = survivors(COHORT, &dropouts);
                for (survivors, found) in sums {
                    prop_assert!(survivors.is_subset(&expected) && survivors.len() >= 3);
                    prop_assert_eq!(found, sum(survivors));
                }
            }
            Err(SessionError::TooFewGroups { .. }) => {
                prop_assert!(cohort.groups.open().count() >= least as usize, "the last state is left as it was");
                prop_assert!(!dropouts.is_empty());
            }
            Err(other) => prop_assert!(false, "{:?}", other),
        }
    }
}
