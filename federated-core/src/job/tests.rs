mod session;

use proptest::prelude::*;

use super::*;
use crate::{
    checkpoint,
    config::JobConfig,
    ids::{Digest, ParticipantName},
    metrics::Metrics,
    model::{ModelLayout, TensorSpec},
    round::{Command, Event, Hold, OutReason, Receipt, RoundPhase, UpdateKind},
    selection::UniformSelector,
    time::Timestamp,
    update::ExampleCount,
};

const JOB: &str = r#"
name = "job"
rounds = 3
attempts = 2
model = { initial = "initial.safetensors" }
strategy = { kind = "fedavg", local_epochs = 1, batch_size = 8, learning_rate = 0.1 }
cohort = { min_participants = 2, quorum = 1 }
timeouts = { deadline = "100s", absence = "10s", retry = "5s" }
"#;

fn terms() -> JobTerms {
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [4])]).unwrap();
    JobTerms::new(JobConfig::parse(JOB).unwrap(), layout, Digest::of(b"initial"))
}

fn name(index: u8) -> ParticipantName {
    format!("site-{index}").parse().unwrap()
}

/// A job with its log, as an edge keeps them.
struct Bench {
    job: Job,
    log: Vec<Entry>,
    now: u64,
}

impl Bench {
    fn new() -> Self {
        Self::with(terms())
    }

    fn with(terms: JobTerms) -> Self {
        let at = Timestamp::from_millis(0);
        let job = Job::new(terms.clone(), [].into(), at);
        let event = JobEvent::Created { terms: Box::new(terms), present: [].into() };
        Self { job, log: vec![Entry { at, event }], now: 0 }
    }

    fn send(&mut self, event: JobEvent) -> Vec<Command> {
        let at = Timestamp::from_millis(self.now);
        self.log.push(Entry { at, event: event.clone() });
        let (job, commands) = self.job.clone().handle(event, &UniformSelector, at).unwrap();
        self.job = job;
        commands
    }

    fn round(&mut self, event: Event) -> Vec<Command> {
        self.send(JobEvent::Round(event))
    }

    fn store(&mut self, index: u8) -> Vec<Command> {
        let kind = UpdateKind::Open {
            encoding: crate::compression::Encoding::PLAIN,
            examples: ExampleCount::new(1).unwrap(),
            metrics: Metrics::new(),
        };
        self.store_kind(index, kind)
    }

    fn store_kind(&mut self, index: u8, kind: UpdateKind) -> Vec<Command> {
        let receipt = Receipt { content: Digest::of(&[index]), bytes: 10, kind };
        let (participant, task) = (name(index), self.job.run().task());
        self.round(Event::UpdateStored { participant, task, receipt })
    }

    fn publish(&mut self) -> Vec<Command> {
        let task = self.job.run().task();
        let model = Digest::of(task.to_string().as_bytes());
        self.round(Event::ModelPublished { task, model })
    }
}

/// One step of a job's life; those that make no sense at their moment are left out.
fn step(bench: &mut Bench, kind: u8, who: u8, wait: u64) {
    bench.now += wait;
    let task = bench.job.run().task();
    let aggregating = matches!(bench.job.run().phase(), RoundPhase::Aggregating { .. });
    match kind {
        0..3 => drop(bench.round(Event::Joined(name(who)))),
        3 => drop(bench.round(Event::Left(name(who)))),
        4..8 => drop(bench.store(who)),
        8 => {
            let reason = OutReason::Declined { code: "NO".to_owned(), message: "data".to_owned() };
            bench.round(Event::MemberFailed { participant: name(who), task, reason });
        }
        9 | 10 if aggregating => drop(bench.publish()),
        11 if aggregating => drop(bench.round(Event::AggregationFailed { task, reason: "disk".to_owned() })),
        12 => drop(bench.round(Event::Tick)),
        13 => drop(bench.send(JobEvent::Restarted)),
        14 => drop(bench.send(JobEvent::Downloaded { bytes: wait })),
        15 => drop(bench.send(JobEvent::Told { participant: name(who) })),
        16 => drop(bench.round(Event::Held(Hold::Queued))),
        17 | 18 => drop(bench.round(Event::Released)),
        19 => drop(bench.round(Event::StopRequested { operator: "ops".to_owned() })),
        20 => {
            let present = (0..who).map(name).collect();
            bench.round(Event::RetryRequested { operator: "ops".to_owned(), present });
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn a_log_gives_the_job_that_wrote_it_also_after_it_was_encoded(
        steps in prop::collection::vec((0_u8..21, 0_u8..4, 0_u64..4_000), 0..80)
    ) {
        let mut bench = Bench::new();
        steps.into_iter().for_each(|(kind, who, wait)| step(&mut bench, kind, who, wait));
        let read: Vec<Entry> = bench
            .log
            .iter()
            .map(|entry| checkpoint::decode(&checkpoint::encode(entry).unwrap()).unwrap())
            .collect();
        prop_assert_eq!(Job::replay(read, &UniformSelector).unwrap(), bench.job);
    }
}

#[test]
fn entries_that_are_no_jobs_log_are_refused() {
    let start = Bench::new().log.remove(0);
    let replay = |entries: Vec<Entry>| Job::replay(entries, &UniformSelector).unwrap_err();
    assert_eq!(replay(vec![]), ReplayError::NoStart { found: "no entry" });
    let tick = Entry { event: JobEvent::Round(Event::Tick), ..start.clone() };
    assert_eq!(replay(vec![tick]), ReplayError::NoStart { found: "another event" });
    assert_eq!(replay(vec![start.clone(), start.clone()]), ReplayError::StartedTwice { entry: 1 });
    let (task, model) = (Job::new(terms(), [].into(), start.at).run().task(), Digest::of(b"x"));
    let published = Entry { event: JobEvent::Round(Event::ModelPublished { task, model }), ..start.clone() };
    assert!(matches!(replay(vec![start, published]), ReplayError::Round { entry: 1, .. }));
}

#[test]
fn no_entry_can_be_changed_swapped_or_left_out_of_a_chain() {
    let job = "job".parse().unwrap();
    let chain = |entries: &[&[u8]]| entries.iter().fold(Link::first(&job), |link, entry| link.then(entry));
    let whole = chain(&[b"a", b"b", b"c"]);
    for other in
        [chain(&[b"a", b"c"]), chain(&[b"b", b"a", b"c"]), chain(&[b"a", b"b", b"d"]), chain(&[b"a", b"b"])]
    {
        assert_ne!(other, whole);
    }
    assert_ne!(Link::first(&job), Link::first(&"other".parse().unwrap()));
}

#[test]
fn a_clock_that_steps_back_is_taken_to_stand_still() {
    let mut bench = Bench::new();
    bench.now = 9_000;
    bench.round(Event::Joined(name(0)));
    bench.now = 1_000;
    bench.round(Event::Joined(name(1)));
    let RoundPhase::Training { began, .. } = bench.job.run().phase() else { panic!("two are enough") };
    assert_eq!(began.as_millis(), 9_000);
}

#[test]
fn a_clock_that_was_put_back_goes_on_from_there() {
    let mut bench = Bench::new();
    bench.now = 3_600_000;
    bench.round(Event::Joined(name(0)));
    bench.now = 1_000;
    let commands = bench.round(Event::Joined(name(1)));
    // The deadline is 100 s from now, whatever the clock showed before.
    let at = Timestamp::from_millis(101_000);
    assert_eq!(commands.last(), Some(&Command::WakeAt(at)));
    assert!(matches!(&commands[0], Command::Dispatch { deadline, .. } if *deadline == at), "{commands:?}");
    bench.now = 100_999;
    bench.round(Event::Tick);
    assert!(matches!(bench.job.run().phase(), RoundPhase::Training { .. }));
    bench.now = 101_000;
    bench.round(Event::Tick);
    assert_eq!(bench.job.run().attempt(), 2);
}

#[test]
fn what_travels_is_counted_for_each_attempt_and_an_update_only_once() {
    let mut bench = Bench::new();
    (0..2).for_each(|who| drop(bench.round(Event::Joined(name(who)))));
    bench.send(JobEvent::Downloaded { bytes: 16 });
    for who in [0, 0, 3, 1] {
        bench.store(who);
    }
    bench.publish();
    let first = Traffic { up: 20, up_plain: 32, down: 16, ..Traffic::default() };
    assert_eq!(bench.job.ledger(), [first]);
    bench.send(JobEvent::Downloaded { bytes: 5 });
    assert_eq!(bench.job.total_traffic(), first + Traffic { down: 5, ..Traffic::default() });
}

#[test]
fn whoever_contributed_is_told_of_the_end_once() {
    let mut bench = Bench::new();
    (0..2).for_each(|who| drop(bench.round(Event::Joined(name(who)))));
    (0..2).for_each(|who| drop(bench.store(who)));
    bench.publish();
    bench.round(Event::StopRequested { operator: "ops".to_owned() });
    assert_eq!(bench.job.untold().len(), 2);
    bench.send(JobEvent::Told { participant: name(0) });
    assert_eq!(bench.job.untold(), &[name(1)].into());
}

#[test]
fn what_a_participant_declines_is_kept_for_the_operator_if_it_was_asked() {
    let mut bench = Bench::new();
    (0..2).for_each(|who| drop(bench.round(Event::Joined(name(who)))));
    let reason = OutReason::Declined { code: "NO".to_owned(), message: "data".to_owned() };
    for who in [0, 0, 7] {
        let (participant, task) = (name(who), bench.job.run().task());
        bench.round(Event::MemberFailed { participant, task, reason: reason.clone() });
    }
    assert_eq!(bench.job.incidents().len(), 1);
    assert_eq!(bench.job.incidents()[0].reason, "NO");
}

#[test]
fn a_long_absence_of_the_coordinator_moves_the_deadline() {
    let mut bench = Bench::new();
    (0..2).for_each(|who| drop(bench.round(Event::Joined(name(who)))));
    bench.now += 3_600_000;
    bench.send(JobEvent::Restarted);
    let commands = bench.round(Event::Tick);
    assert!(matches!(bench.job.run().phase(), RoundPhase::Training { .. }), "{commands:?}");
}
