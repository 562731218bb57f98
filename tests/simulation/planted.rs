//! Faults that are put into the simulation on purpose: it has to find them.

use crate::{schedule::Schedule, simulate::run, violation::Violation};

/// A fault of the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// The coordinator answers and commands first, and writes its log after that.
    ActsBeforeItLogs,
    /// The coordinator leaves an update out when it combines several.
    LeavesOneOut,
    /// The coordinator adds an update once for each receipt that it gives.
    CountsRepeats,
    /// A participant's state folder does not survive a crash.
    ForgetsUpdates,
    /// A coordinator that starts does not carry out what its jobs ask for.
    NeverAggregatesAgain,
    /// A coordinator whose clock was put back takes time to stand still until the clock shows again what it showed.
    TimeStandsStill,
}

/// How many schedules a planted fault may survive.
const ENOUGH: u64 = 2_000;

/// The laws that a planted fault breaks, in the schedules up to the one that shows the one that is looked for.
fn caught(plant: Plant, law: impl Fn(&Violation) -> bool) {
    let violations = (0..ENOUGH).filter_map(|seed| run(&Schedule::drawn(seed), Some(plant)).err());
    let mut others = Vec::new();
    for violation in violations {
        if law(&violation) {
            return;
        }
        others.push(violation);
    }
    panic!("{plant:?} was not caught in {ENOUGH} schedules; found {others:?}");
}

#[test]
fn a_coordinator_that_acts_before_it_logs_does_not_find_the_updates_that_it_removed() {
    caught(Plant::ActsBeforeItLogs, |violation| matches!(violation, Violation::SpoolDiffers { .. }));
}

#[test]
fn a_coordinator_that_leaves_an_update_out_shows_a_zero() {
    caught(Plant::LeavesOneOut, |violation| matches!(violation, Violation::Lost { .. }));
}

#[test]
fn a_coordinator_that_counts_a_repeated_update_shows_a_two() {
    caught(Plant::CountsRepeats, |violation| matches!(violation, Violation::CountedTwice { .. }));
}

#[test]
fn a_participant_that_forgets_its_update_sends_another() {
    caught(Plant::ForgetsUpdates, |violation| matches!(violation, Violation::TwoUpdates { .. }));
}

#[test]
fn a_coordinator_that_never_aggregates_again_goes_on_for_ever() {
    caught(Plant::NeverAggregatesAgain, |violation| matches!(violation, Violation::Endless { .. }));
}

#[test]
fn a_coordinator_for_which_time_stands_still_waits_too_long() {
    caught(Plant::TimeStandsStill, |violation| matches!(violation, Violation::Waits { .. }));
}
