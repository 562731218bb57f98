//! What the messages of secure aggregation add to the accounts.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::ids::Fingerprint;
use crate::privacy::secagg::{
    AdvertiseKeys, Consistency, CoordinatorMessage, GroupSum, ParticipantMessage, RevealedShare,
    SealedShares, ShareKeys, Stage, Unmask,
};

fn secure_terms() -> JobTerms {
    let job = JOB.replace("min_participants = 2, quorum = 1", "min_participants = 4, quorum = 3");
    let job =
        format!("{job}\n[privacy.secure_aggregation]\nclip = 1.0\nmax_examples = 10\nmax_participants = 4\n");
    JobTerms::new(JobConfig::parse(&job).unwrap(), terms().layout, Digest::of(b"initial"))
}

/// What a participant says in a stage. The coordinator's side of this is tested elsewhere: nothing needs to be true.
fn answer(stage: Stage, index: u8) -> ParticipantMessage {
    let keys = |byte: u8| AdvertiseKeys {
        seal: [byte; 32].into(),
        mask: [byte + 100; 32].into(),
        commitment: [byte; 32].into(),
        signature: [byte; 64].into(),
    };
    let others = || (0..4).filter(|other| *other != u32::from(index));
    let shares = SealedShares::try_from(&[0; SealedShares::BYTES][..]).unwrap();
    let revealed = |indices: BTreeSet<u32>| {
        indices.into_iter().map(|index| (index, RevealedShare::from([0; 32]))).collect::<BTreeMap<_, _>>()
    };
    match stage {
        Stage::AdvertiseKeys => ParticipantMessage::AdvertiseKeys(keys(index)),
        Stage::ShareKeys => {
            ParticipantMessage::ShareKeys(ShareKeys(others().map(|other| (other, shares.clone())).collect()))
        }
        Stage::MaskedInput | Stage::Consistency => {
            ParticipantMessage::Consistency(Consistency([index; 64].into()))
        }
        Stage::Unmask => ParticipantMessage::Unmask(Unmask {
            self_masks: revealed([0, 1, 2].into()),
            mask_secrets: revealed([3].into()),
        }),
    }
}

/// A job with what its edge sees of the messages.
struct Secure {
    bench: Bench,
    up: u64,
    down: u64,
    told: Vec<Stage>,
}

impl Secure {
    fn new() -> Self {
        let mut secure = Self { bench: Bench::with(secure_terms()), up: 0, down: 0, told: Vec::new() };
        for who in 0..4 {
            secure.send(Event::Joined(name(who)));
        }
        secure
    }

    /// Sends an event, and notes what somebody is told then, as if everyone were connected.
    fn send(&mut self, event: Event) {
        for command in self.bench.round(event) {
            let Command::Tell { participant, task } = command else { continue };
            for message in self.bench.job.run().told(&participant) {
                self.told.push(match message {
                    CoordinatorMessage::Roster(_) => Stage::ShareKeys,
                    CoordinatorMessage::Delivery(_) => Stage::MaskedInput,
                    CoordinatorMessage::Survivors(_) => Stage::Consistency,
                    CoordinatorMessage::Signatures(_) => Stage::Unmask,
                });
                self.down += told_bytes(&task, &message);
            }
        }
    }

    fn answer(&mut self, stage: Stage, who: u8) {
        let (participant, task, message) = (name(who), self.bench.job.run().task(), answer(stage, who));
        self.up += answer_bytes(&task, &message);
        let event = Event::Answered { participant, task, message };
        self.send(event.clone());
        // It comes again, as after a broken connection.
        self.send(event);
    }

    fn counted(&self) -> (u64, u64) {
        let traffic = self.bench.job.total_traffic();
        (traffic.session_up, traffic.session_down)
    }

    /// Everyone answers until the masked vectors are awaited.
    fn keys(&mut self) {
        (0..4).for_each(|who| self.answer(Stage::AdvertiseKeys, who));
        (0..4).for_each(|who| self.answer(Stage::ShareKeys, who));
    }
}

#[test]
fn messages_of_secure_aggregation_are_counted_for_each_attempt_and_an_answer_only_once() {
    let mut secure = Secure::new();
    secure.keys();
    assert_eq!(secure.told, [[Stage::ShareKeys; 4], [Stage::MaskedInput; 4]].concat());
    assert_eq!(secure.counted(), (secure.up, secure.down));
    // One drops out; the others agree on the sum and unmask it.
    (0..3).for_each(|who| drop(secure.bench.store_kind(who, UpdateKind::Masked)));
    let task = secure.bench.job.run().task();
    let reason = OutReason::Declined { code: "NO".to_owned(), message: "gone".to_owned() };
    secure.send(Event::MemberFailed { participant: name(3), task: task.clone(), reason });
    (0..3).for_each(|who| secure.answer(Stage::Consistency, who));
    (0..3).for_each(|who| secure.answer(Stage::Unmask, who));
    assert_eq!(secure.told[8..], [[Stage::Consistency; 3], [Stage::Unmask; 3]].concat());
    let model = Digest::of(b"sum");
    let sums = vec![GroupSum {
        session: [1; 32].into(),
        survivors: (0..3).map(name).collect(),
        sum: Fingerprint::of(b"sum"),
    }];
    secure.send(Event::SumPublished { task, model, examples: 3, metrics: Metrics::new(), sums });
    let (up, down) = (secure.up, secure.down);
    let first = Traffic { up: 30, up_plain: 30, down: 0, session_up: up, session_down: down };
    assert_eq!(secure.bench.job.ledger(), [first]);
    // The next attempt has an account of its own.
    secure.answer(Stage::AdvertiseKeys, 0);
    assert_eq!(secure.bench.job.ledger(), [first]);
    assert_eq!(secure.counted(), (secure.up, secure.down));
    assert_eq!(Job::replay(secure.bench.log, &UniformSelector).unwrap(), secure.bench.job);
}

#[test]
fn whoever_is_away_is_told_when_it_comes_back_and_what_is_told_again_counts_again() {
    let mut secure = Secure::new();
    (0..3).for_each(|who| secure.answer(Stage::AdvertiseKeys, who));
    secure.send(Event::Left(name(0)));
    secure.answer(Stage::AdvertiseKeys, 3);
    let roster = secure.down / 4;
    assert_eq!(secure.counted(), (secure.up, 3 * roster));
    secure.send(Event::Joined(name(0)));
    assert_eq!(secure.counted(), (secure.up, 4 * roster));
    secure.send(Event::Joined(name(0)));
    assert_eq!(secure.counted(), (secure.up, 5 * roster));
    assert_eq!(Job::replay(secure.bench.log, &UniformSelector).unwrap(), secure.bench.job);
}

#[test]
fn an_answer_that_nobody_awaits_is_not_counted() {
    let mut secure = Secure::new();
    secure.answer(Stage::AdvertiseKeys, 0);
    let task = secure.bench.job.run().task();
    let other = crate::ids::TaskId { attempt: 2, ..task.clone() };
    for (who, stage, task) in
        [(1, Stage::ShareKeys, &task), (1, Stage::Unmask, &task), (1, Stage::AdvertiseKeys, &other)]
    {
        let (participant, task, message) = (name(who), task.clone(), answer(stage, who));
        secure.send(Event::Answered { participant, task, message });
    }
    assert_eq!(secure.counted(), (secure.up, 0));
}
