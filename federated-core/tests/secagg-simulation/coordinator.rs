//! The coordinator: the real job, with what the edge does for each message and command. What happened is in the log before
//! anything is done about it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use federated_core::{
    checkpoint,
    ids::{Digest, ParticipantName, TaskId},
    job::{Entry, Job, JobEvent, Link},
    privacy::secagg::{CoordinatorSession, Stage},
    round::{Command, Event, Receipt, RoundPhase},
    selection::UniformSelector,
    time::Timestamp,
};

use crate::{
    books::Sight,
    names::{self, Attempt},
    planted::Plant,
    schedule::Setup,
    violation::Violation,
    world::{self, EPOCH, World},
};

/// What is on the coordinator's disk, and the process that may run there.
#[derive(Debug)]
pub(crate) struct Coordinator {
    log: Vec<Vec<u8>>,
    link: Link,
    /// The masked vectors, by attempt and site.
    pub(crate) spool: BTreeMap<(Attempt, usize), Arc<[u8]>>,
    /// What the log gave when the last process ended.
    read: Option<Job>,
    pub(crate) process: Option<Process>,
}

/// What a crash takes.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) job: Job,
    /// The job as the log gives it.
    durable: Job,
    /// Encoded entries that are not in the log yet.
    pub(crate) unwritten: Vec<Vec<u8>>,
    /// What is to be done once the log has the events: commands, then answers.
    pub(crate) commands: VecDeque<Command>,
    pub(crate) replies: VecDeque<(u64, bool)>,
    /// The connection that each site has, as far as the coordinator knows.
    pub(crate) sessions: BTreeMap<usize, usize>,
    /// When the timer goes off.
    pub(crate) alarm: Option<u64>,
    pub(crate) aggregations: VecDeque<Aggregation>,
    /// Vectors that came too late, which a faulty coordinator counts.
    pub(crate) late: Vec<Arc<[u8]>>,
}

/// A sum that is to be made.
#[derive(Debug)]
pub(crate) struct Aggregation {
    pub(crate) task: TaskId,
    pub(crate) contributions: BTreeMap<ParticipantName, Receipt>,
    pub(crate) session: CoordinatorSession,
}

impl Coordinator {
    /// A coordinator at which the job was started, and which is down.
    pub(crate) fn new(setup: &Setup) -> Self {
        let (terms, present, at) = (world::terms(setup), BTreeSet::new(), Timestamp::from_millis(EPOCH));
        let job = Job::new(terms.clone(), present.clone(), at);
        let created = Entry { at, event: JobEvent::Created { terms: Box::new(terms), present } };
        let log = vec![checkpoint::encode(&created).expect("a small entry")];
        Self { log, link: Link::first(names::job()), spool: BTreeMap::new(), read: Some(job), process: None }
    }

    /// Where the job is.
    pub(crate) fn job(&self) -> Option<&Job> {
        self.process.as_ref().map(|process| &process.job).or(self.read.as_ref())
    }

    /// What all that was written comes to.
    pub(crate) const fn link(&self) -> Link {
        self.link
    }

    fn replayed(&self) -> Result<Job, Violation> {
        let decode = |bytes: &Vec<u8>| checkpoint::decode::<Entry>(bytes).expect("an entry");
        Job::replay(self.log.iter().map(decode), &UniformSelector).map_err(Violation::Replay)
    }
}

impl Process {
    fn new(job: Job) -> Self {
        Self {
            durable: job.clone(),
            job,
            unwritten: Vec::new(),
            commands: VecDeque::new(),
            replies: VecDeque::new(),
            sessions: BTreeMap::new(),
            alarm: None,
            aggregations: VecDeque::new(),
            late: Vec::new(),
        }
    }

    /// Everything is written, and something is to be done about it: nothing else is looked at before.
    pub(crate) fn must_act(&self) -> bool {
        self.unwritten.is_empty() && !(self.commands.is_empty() && self.replies.is_empty())
    }

    /// Where the session of the current attempt is.
    pub(crate) fn stage(&self) -> Option<Stage> {
        match self.job.run().phase() {
            RoundPhase::Training { session: Some(session), .. } | RoundPhase::Unmasking { session, .. } => {
                Some(session.state.stage())
            }
            _ => None,
        }
    }
}

impl World {
    pub(crate) fn start_coordinator(&mut self) -> Result<(), Violation> {
        if self.coordinator.process.is_some() {
            return Ok(());
        }
        let Some(job) = self.coordinator.read.take() else { return Ok(()) };
        let ended = job.run().has_ended();
        self.coordinator.process = Some(Process::new(job));
        if ended {
            return Ok(());
        }
        self.event(JobEvent::Restarted)?;
        if let (Some(Plant::NeverAsksAgain), Some(process)) = (self.plant, &mut self.coordinator.process) {
            process.commands.clear();
        }
        self.round(Event::Tick)
    }

    pub(crate) fn crash_coordinator(&mut self) -> Result<(), Violation> {
        let Some(process) = self.coordinator.process.take() else { return Ok(()) };
        let job = self.coordinator.replayed()?;
        // A job that differs in the time alone was not written.
        if job.differs(&process.durable) {
            return Err(Violation::LogDiffers);
        }
        if process.stage().is_some_and(|stage| stage > Stage::AdvertiseKeys) {
            self.books.see(Sight::CrashedInSession);
        }
        self.coordinator.read = Some(job);
        self.net.coordinator_crashed();
        for site in &mut self.sites {
            if let Some(process) = &mut site.process {
                process.connection = None;
            }
        }
        Ok(())
    }

    pub(crate) fn round(&mut self, event: Event) -> Result<(), Violation> {
        self.event(JobEvent::Round(event))
    }

    /// Gives an event to the job, keeps it for the log if it changes anything, and keeps what is to be done.
    fn event(&mut self, event: JobEvent) -> Result<(), Violation> {
        let at = Timestamp::from_millis(EPOCH + self.now);
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        let forgotten = self.plant == Some(Plant::ForgetsSignatures) && is_signature(&event);
        let is_round = matches!(event, JobEvent::Round(_));
        let handled = process.job.clone().handle(event.clone(), &UniformSelector, at);
        let (next, commands) = handled.map_err(Violation::Contradiction)?;
        if next.differs(&process.job) {
            if self.fair && begins(&process.job, &next) {
                self.books.begins_fairly(Attempt::of(&next.run().task()));
            }
            if !forgotten {
                process.unwritten.push(checkpoint::encode(&Entry { at, event }).expect("a small entry"));
            }
            process.job = next;
        }
        if is_round {
            process.alarm = None;
        }
        for command in commands {
            match command {
                Command::WakeAt(at) => process.alarm = Some(at.as_millis() - EPOCH),
                other => process.commands.push_back(other),
            }
        }
        if self.plant == Some(Plant::ActsBeforeItLogs) {
            self.act()?;
        }
        Ok(())
    }

    /// Writes what happened.
    pub(crate) fn commit(&mut self) {
        let Some(process) = &mut self.coordinator.process else { return };
        for entry in process.unwritten.drain(..) {
            self.coordinator.link = self.coordinator.link.then(&entry);
            self.coordinator.log.push(entry);
        }
        process.durable = process.job.clone();
    }
}

/// Whether an attempt begins.
fn begins(before: &Job, after: &Job) -> bool {
    let training = |job: &Job| matches!(job.run().phase(), RoundPhase::Training { .. });
    training(after) && !(training(before) && before.run().task() == after.run().task())
}

fn is_signature(event: &JobEvent) -> bool {
    matches!(
        event,
        JobEvent::Round(Event::Answered { message, .. }) if message.stage() == Stage::Consistency
    )
}

/// The digest of what travelled.
pub(crate) fn content(vector: &[u8]) -> Digest {
    Digest::of(vector)
}
