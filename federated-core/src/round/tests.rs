use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    compression::Encoding,
    ids::{Digest, ParticipantName, TaskId},
    metrics::Metrics,
    selection::UniformSelector,
    time::Timestamp,
    update::ExampleCount,
};

const DEADLINE: u64 = 1_000;
const ABSENCE: u64 = 100;
const RETRY: u64 = 50;

fn name(index: usize) -> ParticipantName {
    format!("site-{index}").parse().unwrap()
}

fn names(count: usize) -> BTreeSet<ParticipantName> {
    (0..count).map(name).collect()
}

fn plan(min_participants: u32, quorum: u32, fraction: f64, over_selection: f64) -> RunPlan {
    let number = |n| NonZeroU32::new(n).unwrap();
    let cohort = CohortPolicy {
        eligible: None,
        fraction,
        min_participants: number(min_participants),
        quorum: number(quorum),
        over_selection,
    };
    let timeouts = Timeouts {
        deadline: Duration::from_millis(DEADLINE),
        absence: Duration::from_millis(ABSENCE),
        retry: Duration::from_millis(RETRY),
    };
    RunPlan::new("job".parse().unwrap(), number(2), number(2), 7, cohort, timeouts).unwrap()
}

/// Drives a run by hand: keeps the clock and what was commanded last.
struct Bench {
    run: Run,
    now: u64,
    commands: Vec<Command>,
}

impl Bench {
    fn new(plan: RunPlan, present: usize) -> Self {
        let now = Timestamp::from_millis(0);
        let run = Run::new(plan, Digest::of(b"initial"), names(present), now);
        let mut bench = Self { run, now: 0, commands: Vec::new() };
        bench.send(Event::Tick);
        bench
    }

    fn send(&mut self, event: Event) {
        let now = Timestamp::from_millis(self.now);
        let (run, commands) = self.run.clone().handle(event, &UniformSelector, now).unwrap();
        self.run = run;
        self.commands = commands;
    }

    fn tick_at(&mut self, now: u64) {
        self.now = now;
        self.send(Event::Tick);
    }

    fn report(&mut self, index: usize) {
        let (participant, task) = (name(index), self.run.task());
        self.send(Event::UpdateStored { participant, task, receipt: receipt(index) });
    }

    fn fail(&mut self, index: usize) {
        let reason =
            OutReason::Declined { code: "TRAINING_FAILED".to_owned(), message: "no data".to_owned() };
        let event = Event::MemberFailed { participant: name(index), task: self.run.task(), reason };
        self.send(event);
    }

    fn dispatched(&self) -> BTreeSet<ParticipantName> {
        self.commands
            .iter()
            .filter_map(|command| match command {
                Command::Dispatch { participant, .. } => Some(participant.clone()),
                _ => None,
            })
            .collect()
    }

    fn aggregated(&self) -> Option<(TaskId, usize)> {
        self.commands.iter().find_map(|command| match command {
            Command::Aggregate { task, contributions, .. } => Some((task.clone(), contributions.len())),
            _ => None,
        })
    }

    fn woken_at(&self) -> Option<u64> {
        self.commands.iter().rev().find_map(|command| match command {
            Command::WakeAt(at) => Some(at.as_millis()),
            _ => None,
        })
    }

    fn publish(&mut self) {
        let model = Digest::of(self.run.task().to_string().as_bytes());
        self.send(Event::ModelPublished { task: self.run.task(), model });
    }
}

fn receipt(index: usize) -> Receipt {
    let examples = ExampleCount::new(index as u64 + 1).unwrap();
    let mut metrics = Metrics::new();
    metrics.insert("loss", index as f64).unwrap();
    let content = Digest::of(&index.to_le_bytes());
    let kind = UpdateKind::Open { encoding: Encoding::PLAIN, examples, metrics };
    Receipt { content, bytes: 8, kind }
}

#[test]
fn a_run_goes_through_its_rounds_and_ends() {
    let mut bench = Bench::new(plan(2, 2, 1.0, 1.0), 1);
    assert!(bench.commands.is_empty(), "one of two is present: nothing to do, nothing to wait for");
    bench.send(Event::Joined(name(1)));
    assert_eq!(bench.dispatched(), names(2));
    bench.report(0);
    assert_eq!(bench.aggregated(), None);
    bench.report(1);
    assert_eq!(bench.aggregated().unwrap().1, 2);
    bench.publish();
    assert_eq!(bench.dispatched(), names(2), "the second round begins at once");
    let first = &bench.run.history()[0];
    assert_eq!((first.examples, first.contributors.len()), (3, 2));
    assert!((first.metrics.get("loss").unwrap() - 2.0 / 3.0).abs() < 1e-12);
    bench.report(0);
    bench.report(1);
    bench.publish();
    assert!(matches!(bench.run.phase(), RoundPhase::Ended(RunEnd::Completed)));
    assert!(matches!(bench.commands.last(), Some(Command::Finished(RunEnd::Completed))));
}

#[test]
fn at_the_deadline_a_quorum_is_enough_and_the_slow_are_told() {
    let mut bench = Bench::new(plan(3, 2, 1.0, 1.0), 3);
    bench.report(0);
    bench.report(2);
    assert_eq!(bench.aggregated(), None, "site-1 may still deliver");
    assert_eq!(bench.woken_at(), Some(DEADLINE));
    bench.tick_at(DEADLINE);
    assert_eq!(bench.aggregated().unwrap().1, 2);
    let withdrawn = Command::Withdraw {
        participant: name(1),
        task: bench.run.task(),
        reason: WithdrawReason::RoundClosed,
    };
    assert!(bench.commands.contains(&withdrawn));
    let late = bench.run.admit(&name(1), &bench.run.task(), Digest::of(b"late")).unwrap_err();
    assert_eq!(late.reason().as_str(), "ROUND_CLOSED");
}

#[test]
fn without_a_quorum_the_round_is_abandoned_retried_and_at_last_given_up() {
    let mut bench = Bench::new(plan(2, 2, 1.0, 1.0), 2);
    bench.report(0);
    bench.fail(1);
    let Err(AbandonReason::QuorumImpossible { possible: 1, out, .. }) = &bench.run.history()[0].outcome
    else {
        panic!("{:?}", bench.run.history());
    };
    assert!(out.contains_key(&name(1)), "the reason names who is out");
    assert_eq!(bench.woken_at(), Some(RETRY));
    bench.tick_at(RETRY);
    assert_eq!(bench.dispatched(), names(2));
    assert_eq!(bench.run.attempt(), 2);
    bench.tick_at(RETRY + DEADLINE);
    let failed = RunEnd::Failed { reason: AbandonReason::DeadlineWithoutQuorum { quorum: 2, reported: 0 } };
    assert_eq!(bench.run.phase(), &RoundPhase::Ended(failed));
    assert_eq!(bench.run.model(), Digest::of(b"initial"), "an abandoned round changes no model");
}

#[test]
fn without_a_pause_an_abandoned_round_is_tried_again_at_once() {
    let mut plan = plan(2, 2, 1.0, 1.0);
    plan.timeouts.retry = Duration::ZERO;
    let mut bench = Bench::new(plan, 2);
    bench.fail(1);
    assert_eq!((bench.run.attempt(), bench.dispatched()), (2, names(2)));
    assert_eq!(bench.woken_at(), Some(DEADLINE));
}

#[test]
fn whoever_stays_away_is_out_and_whoever_comes_back_goes_on() {
    let mut bench = Bench::new(plan(3, 2, 1.0, 1.0), 3);
    bench.send(Event::Left(name(0)));
    assert_eq!(bench.woken_at(), Some(ABSENCE));
    bench.now = ABSENCE / 2;
    bench.send(Event::Joined(name(0)));
    assert_eq!(bench.dispatched(), BTreeSet::from([name(0)]), "it gets the same task again");
    bench.send(Event::Left(name(1)));
    bench.report(0);
    bench.report(2);
    bench.tick_at(ABSENCE / 2 + ABSENCE);
    assert_eq!(bench.aggregated().unwrap().1, 2, "the round did not wait for the deadline");
}

#[test]
fn over_selection_takes_the_first_and_withdraws_the_rest() {
    let mut bench = Bench::new(plan(10, 5, 0.5, 1.3), 10);
    let chosen: Vec<_> = bench.dispatched().into_iter().collect();
    assert_eq!(chosen.len(), 7, "ceil(1.3 * 5)");
    for participant in &chosen[..5] {
        let (participant, task) = (participant.clone(), bench.run.task());
        bench.send(Event::UpdateStored { participant, task, receipt: receipt(0) });
    }
    assert_eq!(bench.aggregated().unwrap().1, 5);
    assert_eq!(
        bench.commands.iter().filter(|command| matches!(command, Command::Withdraw { .. })).count(),
        2
    );
}

#[test]
fn an_update_is_admitted_once_and_only_for_the_task_at_hand() {
    let mut bench = Bench::new(plan(2, 2, 1.0, 1.0), 3);
    bench.report(0);
    let task = bench.run.task();
    let admit = |bench: &Bench, index, task: &TaskId, content| bench.run.admit(&name(index), task, content);
    assert_eq!(admit(&bench, 0, &task, receipt(0).content).unwrap(), Admission::Duplicate(receipt(0)));
    assert_eq!(admit(&bench, 1, &task, Digest::of(b"x")).unwrap(), Admission::Welcome);
    let code = |bench: &Bench, index, task: &TaskId| {
        admit(bench, index, task, Digest::of(b"x")).unwrap_err().reason()
    };
    assert_eq!(code(&bench, 0, &task).as_str(), "UPDATE_CONFLICT");
    assert_eq!(code(&bench, 9, &task).as_str(), "TASK_NOT_YOURS");
    let future = TaskId { round: task.round.next(), ..task.clone() };
    assert_eq!(code(&bench, 1, &future).as_str(), "TASK_IN_THE_FUTURE");
    let other = TaskId { job: "other".parse().unwrap(), ..task.clone() };
    assert_eq!(code(&bench, 1, &other).as_str(), "JOB_UNKNOWN");
    assert!(bench.run.expects(&name(1), &task) && !bench.run.expects(&name(0), &task));
    bench.fail(1);
    assert_eq!(code(&bench, 1, &task).as_str(), "TASK_OUT");
    assert!(!bench.run.expects(&name(1), &task) && !bench.run.expects(&name(9), &task));
    bench.report(2);
    bench.publish();
    assert_eq!(code(&bench, 0, &task).as_str(), "TASK_FINISHED");
}

#[test]
fn a_stopped_run_withdraws_every_task_and_stays_stopped() {
    let mut bench = Bench::new(plan(2, 2, 1.0, 1.0), 2);
    bench.send(Event::StopRequested { operator: "ops".to_owned() });
    assert_eq!(
        bench.commands.iter().filter(|command| matches!(command, Command::Withdraw { .. })).count(),
        2
    );
    bench.send(Event::StopRequested { operator: "again".to_owned() });
    assert!(bench.commands.is_empty());
    assert_eq!(bench.run.phase(), &RoundPhase::Ended(RunEnd::Stopped { operator: "ops".to_owned() }));
}

#[test]
fn what_an_aggregation_gives_after_the_run_was_stopped_changes_nothing() {
    for published in [true, false] {
        let mut bench = Bench::new(plan(2, 2, 1.0, 1.0), 2);
        bench.report(0);
        bench.report(1);
        bench.send(Event::StopRequested { operator: "ops".to_owned() });
        let (stopped, task) = (bench.run.clone(), bench.run.task());
        bench.send(if published {
            Event::ModelPublished { task, model: Digest::of(b"late") }
        } else {
            Event::AggregationFailed { task, reason: "late".to_owned() }
        });
        assert_eq!((bench.run, bench.commands), (stopped, Vec::new()));
    }
}

#[test]
fn a_run_read_back_after_a_restart_keeps_its_receipts_and_waits_for_the_others() {
    let mut bench = Bench::new(plan(2, 2, 1.0, 1.0), 2);
    bench.report(0);
    bench.now = 500;
    bench.run = bench.run.resumed(Duration::ZERO, Timestamp::from_millis(500)).0;
    bench.send(Event::Tick);
    assert_eq!(bench.woken_at(), Some(500 + ABSENCE));
    bench.send(Event::Joined(name(0)));
    assert!(bench.dispatched().is_empty(), "its update is in");
    bench.send(Event::Joined(name(1)));
    assert_eq!(bench.dispatched(), BTreeSet::from([name(1)]));
    bench.report(1);
    assert_eq!(bench.aggregated().unwrap().1, 2);
}

#[test]
fn an_aggregation_that_a_restart_interrupted_is_asked_for_again() {
    let mut bench = Bench::new(plan(2, 2, 1.0, 1.0), 2);
    bench.report(0);
    bench.report(1);
    let asked = bench.commands.iter().find(|command| matches!(command, Command::Aggregate { .. })).cloned();
    assert_eq!(bench.run.resumed(Duration::ZERO, Timestamp::from_millis(9)).1, [asked.unwrap()]);
}

#[test]
fn an_aggregation_that_nobody_asked_for_is_an_error() {
    let bench = Bench::new(plan(2, 2, 1.0, 1.0), 2);
    let event = Event::ModelPublished { task: bench.run.task(), model: Digest::of(b"x") };
    assert!(bench.run.handle(event, &UniformSelector, Timestamp::from_millis(0)).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Join(usize),
    Leave(usize),
    Report(usize),
    Fail(usize),
    Wait(u64),
    Publish,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..5).prop_map(Step::Join),
        (0_usize..5).prop_map(Step::Leave),
        (0_usize..5).prop_map(Step::Report),
        (0_usize..5).prop_map(Step::Fail),
        (1_u64..400).prop_map(Step::Wait),
        Just(Step::Publish),
    ]
}

proptest! {
    /// Whatever happens in whatever order: no round counts fewer updates than the quorum or one twice, the model
    /// changes only when a round completes, and a run that waits for time asks to be woken in the future.
    #[test]
    fn no_order_of_events_breaks_a_run(steps in prop::collection::vec(step(), 1..80)) {
        let mut bench = Bench::new(plan(3, 2, 1.0, 1.0), 0);
        for step in steps {
            let before = bench.run.clone();
            match step {
                Step::Join(index) => bench.send(Event::Joined(name(index))),
                Step::Leave(index) => bench.send(Event::Left(name(index))),
                Step::Report(index) => bench.report(index),
                Step::Fail(index) => bench.fail(index),
                Step::Wait(time) => bench.tick_at(bench.now + time),
                Step::Publish if matches!(before.phase(), RoundPhase::Aggregating { .. }) => bench.publish(),
                Step::Publish => continue,
            }
            let completed = bench.run.history().iter().filter(|round| round.outcome.is_ok()).count();
            let completed_before = before.history().iter().filter(|round| round.outcome.is_ok()).count();
            prop_assert_eq!(bench.run.model() != before.model(), completed != completed_before);
            for round in bench.run.history().iter().filter(|round| round.outcome.is_ok()) {
                let once: BTreeSet<_> = round.contributors.iter().collect();
                prop_assert!(once.len() >= 2 && once.len() == round.contributors.len());
            }
            if matches!(bench.run.phase(), RoundPhase::Training { .. }) {
                prop_assert!(bench.woken_at().is_some_and(|at| at > bench.now));
            }
        }
    }
}

#[test]
fn a_run_that_is_held_ends_its_attempt_and_begins_no_other_until_it_is_released() {
    let mut bench = Bench::new(plan(2, 2, 1.0, 1.0), 2);
    bench.send(Event::Held(Hold::Paused { operator: "ops".to_owned() }));
    bench.report(0);
    bench.report(1);
    assert!(bench.aggregated().is_some(), "what is under way goes on");
    bench.publish();
    assert!(bench.dispatched().is_empty() && matches!(bench.run.phase(), RoundPhase::Gathering { .. }));
    bench.send(Event::Released);
    assert_eq!(bench.dispatched().len(), 2);
}

#[test]
fn a_run_that_was_stopped_goes_on_at_its_round_with_all_its_attempts() {
    let mut bench = Bench::new(plan(2, 2, 1.0, 1.0), 2);
    bench.report(0);
    bench.report(1);
    bench.publish();
    bench.report(0);
    bench.report(1);
    let late = bench.run.task();
    bench.send(Event::StopRequested { operator: "ops".to_owned() });
    bench.send(Event::RetryRequested { operator: "ops".to_owned(), present: names(2) });
    assert_eq!((bench.run.round().get(), bench.run.attempt()), (2, 2), "an attempt is never numbered twice");
    assert_eq!(bench.dispatched().len(), 2);
    let before = bench.run.clone();
    bench.send(Event::ModelPublished { task: late, model: Digest::of(b"late") });
    assert_eq!(bench.run, before, "what the stop interrupted counts no more");
    bench.fail(0);
    assert!(!bench.run.has_ended(), "a first attempt of two");
    bench.tick_at(RETRY);
    bench.fail(0);
    assert!(matches!(bench.run.phase(), RoundPhase::Ended(RunEnd::Failed { .. })));
}

#[test]
fn a_run_that_has_all_its_rounds_cannot_be_retried() {
    let mut bench = Bench::new(plan(1, 1, 1.0, 1.0), 1);
    for _ in 0..2 {
        bench.report(0);
        bench.publish();
    }
    let completed = bench.run.clone();
    bench.send(Event::RetryRequested { operator: "ops".to_owned(), present: names(1) });
    assert_eq!(bench.run, completed);
}

#[test]
fn the_time_that_a_coordinator_is_away_is_not_taken_from_the_participants() {
    let mut bench = Bench::new(plan(2, 2, 1.0, 1.0), 2);
    bench.now = 5_000;
    bench.run = bench.run.resumed(Duration::from_millis(4_900), Timestamp::from_millis(5_000)).0;
    bench.send(Event::Tick);
    (0..2).for_each(|index| bench.send(Event::Joined(name(index))));
    bench.tick_at(DEADLINE + 4_899);
    assert!(matches!(bench.run.phase(), RoundPhase::Training { .. }));
    bench.tick_at(DEADLINE + 4_900);
    assert!(matches!(bench.run.phase(), RoundPhase::Gathering { .. }));
}
