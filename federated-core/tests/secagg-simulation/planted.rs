//! Faults that are put into the simulation on purpose: it has to find them.

use crate::{schedule::Schedule, simulate::run, violation::Violation};

/// A fault of the edge, or of a participant that does not keep to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// A participant signs every announcement.
    SignsAgain,
    /// A participant reveals shares of both secrets.
    RevealsBoth,
    /// A participant reveals shares before the others have signed.
    RevealsUnsigned,
    /// A participant adds the mask that it has to take away, or the other way round.
    WrongSign,
    /// A participant's note of the sessions that it began does not survive a crash.
    ForgetsSessions,
    /// The coordinator adds a vector that came too late.
    CountsLate,
    /// The coordinator does not write signatures into its log.
    ForgetsSignatures,
    /// The coordinator acts first, and writes its log after that.
    ActsBeforeItLogs,
    /// A coordinator that starts does not carry out what the job asks for.
    NeverAsksAgain,
}

/// How many schedules a planted fault may survive.
const ENOUGH: u64 = 3_000;

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
fn a_participant_that_answers_a_second_announcement_signs_twice() {
    caught(Plant::SignsAgain, |violation| matches!(violation, Violation::TwoSignatures { .. }));
}

#[test]
fn a_participant_that_reveals_both_shares_is_seen() {
    caught(Plant::RevealsBoth, |violation| matches!(violation, Violation::BothShares { .. }));
}

#[test]
fn a_participant_that_reveals_before_the_others_have_signed_is_seen() {
    caught(Plant::RevealsUnsigned, |violation| matches!(violation, Violation::Unsigned { .. }));
}

#[test]
fn a_mask_with_the_wrong_sign_does_not_cancel() {
    caught(Plant::WrongSign, |violation| matches!(violation, Violation::WrongSum { .. }));
}

#[test]
fn a_participant_that_forgets_its_session_begins_another() {
    caught(Plant::ForgetsSessions, |violation| matches!(violation, Violation::TwoSessions { .. }));
}

#[test]
fn a_coordinator_that_counts_a_late_vector_cannot_unmask_the_sum() {
    caught(Plant::CountsLate, |violation| matches!(violation, Violation::WrongSum { .. }));
}

#[test]
fn a_coordinator_that_forgets_signatures_is_another_after_a_restart() {
    caught(Plant::ForgetsSignatures, |violation| matches!(violation, Violation::LogDiffers));
}

#[test]
fn a_coordinator_that_acts_before_it_logs_tells_two_things() {
    caught(Plant::ActsBeforeItLogs, |violation| {
        matches!(violation, Violation::TwoTold { .. } | Violation::TwoRosters { .. })
    });
}

#[test]
fn a_coordinator_that_never_asks_again_goes_on_for_ever() {
    caught(Plant::NeverAsksAgain, |violation| matches!(violation, Violation::Endless));
}
