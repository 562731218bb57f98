use std::collections::BTreeSet;

use super::ClientSelector;
use crate::ids::{ParticipantName, TaskId};

/// Every set of `count` candidates is equally likely.
///
/// Each candidate draws a ticket, the SHA-256 of seed, task and name; the lowest tickets win. So the choice needs no
/// generator whose state would have to survive a restart, and anyone with the seed can check it.
#[derive(Clone, Copy, Debug, Default)]
pub struct UniformSelector;

impl ClientSelector for UniformSelector {
    fn select(
        &self,
        seed: u64,
        task: &TaskId,
        candidates: &BTreeSet<ParticipantName>,
        count: usize,
    ) -> BTreeSet<ParticipantName> {
        let mut tickets: Vec<_> = candidates.iter().map(|name| (ticket(seed, task, name), name)).collect();
        tickets.sort_unstable();
        tickets.into_iter().take(count).map(|(_, name)| name.clone()).collect()
    }
}

fn ticket(seed: u64, task: &TaskId, name: &ParticipantName) -> [u8; 32] {
    *crate::ids::derive(b"federated.selection.v1\n", seed, task, name).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RoundNumber;

    fn task(round: u32) -> TaskId {
        TaskId { job: "job".parse().unwrap(), round: RoundNumber::new(round).unwrap(), attempt: 1 }
    }

    fn names(count: usize) -> BTreeSet<ParticipantName> {
        (0..count).map(|n| format!("site-{n}").parse().unwrap()).collect()
    }

    #[test]
    fn the_same_arguments_choose_the_same_cohort() {
        let all = names(20);
        let chosen = UniformSelector.select(7, &task(1), &all, 5);
        assert_eq!(chosen.len(), 5);
        assert_eq!(chosen, UniformSelector.select(7, &task(1), &all, 5));
        assert_ne!(chosen, UniformSelector.select(7, &task(2), &all, 5));
        assert_ne!(chosen, UniformSelector.select(8, &task(1), &all, 5));
        assert_eq!(UniformSelector.select(7, &task(1), &all, 99), all);
    }

    /// 2,000 rounds choosing 3 of 10: each site is expected 600 times with a standard deviation of 20.5. The bound is
    /// 6 standard deviations (false alarm below 2e-8 over all ten), and the seed is fixed, so the test is not random.
    #[test]
    fn everyone_is_chosen_about_equally_often() {
        let all = names(10);
        let mut counts = std::collections::BTreeMap::<ParticipantName, i32>::new();
        for round in 1..=2_000 {
            for name in UniformSelector.select(1, &task(round), &all, 3) {
                *counts.entry(name).or_default() += 1;
            }
        }
        assert!(counts.values().all(|count| (count - 600).abs() < 123), "{counts:?}");
    }
}
