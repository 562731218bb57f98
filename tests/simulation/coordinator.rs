//! The coordinator: the real jobs, with what the edge does for each message and command. Every event is in its job's log
//! before anything is done about it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use federated_core::{
    checkpoint,
    ids::{Digest, TaskId},
    job::{Entry, Job, JobEvent},
    round::{Admission, AdmissionError, Command, Event, Hold, Receipt, RoundPhase},
    selection::UniformSelector,
    time::Timestamp,
};

use crate::{
    books::Sight,
    model::{Models, OneHot},
    names::Slot,
    network::Stage,
    planted::Plant,
    schedule::Setup,
    violation::Violation,
    world::World,
};

/// What is on the coordinator's disk, and the process that may run there.
#[derive(Debug)]
pub(crate) struct Coordinator {
    /// For each job its log.
    pub(crate) logs: Vec<Vec<Vec<u8>>>,
    pub(crate) spool: BTreeMap<Slot, Digest>,
    pub(crate) models: Models,
    /// What the logs gave when the last process ended: the next one begins with it.
    read: Vec<Option<Job>>,
    pub(crate) process: Option<Process>,
    pub(crate) fails_next: bool,
}

/// What a crash takes.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) jobs: Vec<Option<Job>>,
    /// For each site the stream that is open, as far as the coordinator knows.
    pub(crate) sessions: BTreeMap<usize, Session>,
    pub(crate) next_session: u64,
    pub(crate) mailbox: VecDeque<Message>,
    /// What is to be done now that the log has the events, in this order: commands, then answers.
    pub(crate) commands: VecDeque<(usize, Task)>,
    pub(crate) replies: VecDeque<Reply>,
    wake: Vec<Option<Timestamp>>,
    /// When the timer goes off, by the time that passes.
    pub(crate) alarm: Option<u64>,
    pub(crate) aggregations: Vec<Aggregation>,
    /// Entries that a faulty coordinator has yet to write.
    unwritten: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) number: u64,
    pub(crate) connection: usize,
}

/// What the network and the operator tell the actor.
#[derive(Debug)]
pub(crate) enum Message {
    Attend { site: usize, connection: usize },
    Leave { site: usize, session: u64 },
    Admit { call: u32 },
    Stored { call: u32 },
    Declined { call: u32 },
    Downloaded { job: usize },
    Aggregated { task: TaskId, result: Result<Digest, String> },
    Operator { job: usize, order: Order },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Start,
    Stop,
    Hold { queue: bool },
    Release,
    Retry,
}

/// A command of a job, or of the edge itself.
#[derive(Debug)]
pub(crate) enum Task {
    Command(Command),
    /// Tell a participant that the job has ended.
    Tell {
        site: usize,
    },
}

/// An answer that waits until the log has what it speaks of.
#[derive(Debug)]
pub(crate) enum Reply {
    Attended { connection: usize, session: u64 },
    Admitted { call: u32, admitted: Result<Admission, AdmissionError> },
    Stored { call: u32, admitted: Result<Admission, AdmissionError> },
    DeclineNoted { call: u32 },
}

/// An aggregation under way. `result` once the model is written.
#[derive(Debug)]
pub(crate) struct Aggregation {
    pub(crate) task: TaskId,
    pub(crate) contributions: BTreeMap<usize, Receipt>,
    pub(crate) base: Digest,
    pub(crate) result: Option<Result<Digest, String>>,
}

impl Coordinator {
    pub(crate) fn new(setup: &Setup) -> Self {
        let mut models = Models::default();
        models.put(OneHot::zeros(setup));
        let jobs = usize::from(setup.jobs);
        Self {
            logs: vec![Vec::new(); jobs],
            spool: BTreeMap::new(),
            models,
            read: vec![None; jobs],
            process: None,
            fails_next: false,
        }
    }

    pub(crate) fn job(&self, job: usize) -> Option<&Job> {
        self.process.as_ref()?.jobs.get(job)?.as_ref()
    }

    /// The job that a log gives.
    pub(crate) fn replay(&self, job: usize) -> Result<Job, Violation> {
        let entries = self.logs[job]
            .iter()
            .map(|bytes| checkpoint::decode::<Entry>(bytes).expect("nobody touches what is on this disk"));
        Job::replay(entries, &UniformSelector).map_err(Violation::Replay)
    }
}

impl Process {
    pub(crate) fn is_idle(&self) -> bool {
        self.commands.is_empty() && self.replies.is_empty()
    }

    fn needs(&self, model: Digest) -> bool {
        self.jobs.iter().flatten().any(|job| job.needs(model))
    }
}

impl World {
    pub(crate) fn clock(&self) -> Timestamp {
        Timestamp::from_millis(crate::world::EPOCH.saturating_add(self.now).saturating_add_signed(self.skew))
    }

    /// Puts an event into its job's log, and keeps what is to be done about it.
    pub(crate) fn event(&mut self, index: usize, event: JobEvent) -> Result<(), Violation> {
        let mut at = self.clock();
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        if let (Some(Plant::TimeStandsStill), Some(job)) = (self.plant, &process.jobs[index]) {
            at = at.max(job.last());
        }
        let is_round = matches!(event, JobEvent::Round(_));
        let created = match &event {
            JobEvent::Created { terms, present } => Some(Job::new((**terms).clone(), present.clone(), at)),
            _ => None,
        };
        let entry = Entry { at, event };
        let bytes = checkpoint::encode(&entry).expect("entries can be encoded");
        // The header's digest stands for the whole.
        let digest = bytes[5..13].try_into().map_or(0, u64::from_le_bytes);
        self.trace.note(digest, || format!("log of job-{index}: {:?} at {}", entry.event, at.as_millis()));
        if self.plant == Some(Plant::ActsBeforeItLogs) {
            process.unwritten.push((index, bytes));
        } else {
            self.coordinator.logs[index].push(bytes);
        }
        if let Some(job) = created {
            process.jobs[index] = Some(job);
            return Ok(());
        }
        let Some(job) = process.jobs[index].take() else { return Ok(()) };
        let (attempts, task) = (job.run().history().len(), job.run().task());
        let was_training = matches!(job.run().phase(), RoundPhase::Training { .. });
        let handled = job.handle(entry.event, &UniformSelector, at);
        let (job, commands) = handled.map_err(Violation::Contradiction)?;
        let is_training = matches!(job.run().phase(), RoundPhase::Training { .. });
        if self.fair && is_training && (!was_training || task != job.run().task()) {
            self.books.began_fairly(&job.run().task());
        }
        let sites = usize::from(self.setup.sites);
        for summary in &job.run().history()[attempts..] {
            self.books.check_attempt(index, summary, &self.coordinator.models, sites)?;
        }
        // Only rounds say when to wake: everything else leaves that as it is.
        if is_round {
            process.wake[index] = None;
        }
        for command in commands {
            match command {
                Command::WakeAt(wake) => process.wake[index] = Some(wake),
                other => process.commands.push_back((index, Task::Command(other))),
            }
        }
        process.jobs[index] = Some(job);
        Ok(())
    }

    pub(crate) fn round(&mut self, job: usize, event: Event) -> Result<(), Violation> {
        self.event(job, JobEvent::Round(event))
    }

    /// The jobs that have not ended.
    fn active(&self) -> Vec<usize> {
        let jobs = 0..usize::from(self.setup.jobs);
        jobs.filter(|job| self.coordinator.job(*job).is_some_and(|job| !job.run().has_ended())).collect()
    }

    /// Tells every job something.
    pub(crate) fn all(&mut self, event: &Event) -> Result<(), Violation> {
        self.active().into_iter().try_for_each(|job| self.round(job, event.clone()))
    }

    /// Sets the timer by which job is next.
    pub(crate) fn set_alarm(&mut self) {
        const FAR: u64 = 3_600_000;
        let clock = self.clock();
        let Some(process) = &mut self.coordinator.process else { return };
        let wait = |at: &Timestamp| u64::try_from(at.since(clock).as_millis()).unwrap_or(FAR).min(FAR);
        process.alarm = process.wake.iter().flatten().min().map(|at| self.now + wait(at));
    }

    /// The process starts: it reads back every job, and goes on.
    pub(crate) fn start_coordinator(&mut self) -> Result<(), Violation> {
        if self.coordinator.process.is_some() {
            return Ok(());
        }
        self.trace.note(0xC0, || "the coordinator starts".to_owned());
        let jobs = usize::from(self.setup.jobs);
        let read = self.coordinator.read.iter_mut().map(Option::take).collect();
        let process = Process { wake: vec![None; jobs], jobs: read, ..Process::default() };
        self.coordinator.process = Some(process);
        for job in 0..jobs {
            if self.coordinator.job(job).is_some() {
                self.event(job, JobEvent::Restarted)?;
            }
        }
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        if !process.commands.is_empty() {
            self.books.see(Sight::AggregatedAgain);
        }
        if self.plant == Some(Plant::NeverAggregatesAgain) {
            process.commands.clear();
        }
        // What a crash kept from being removed.
        let ended: Vec<usize> = (0..jobs)
            .filter(|job| process.jobs[*job].as_ref().is_some_and(|job| job.run().has_ended()))
            .collect();
        self.coordinator.spool.retain(|slot, _| !ended.contains(&slot.job));
        let known = process.jobs.iter().flatten();
        let mut wanted: BTreeSet<Digest> =
            known.flat_map(|job| [job.terms().initial_model, job.run().model()]).collect();
        // A job that was not started yet brings its model along.
        wanted.insert(OneHot::zeros(&self.setup).digest());
        self.coordinator.models.retain(&wanted);
        self.all(&Event::Tick)?;
        self.set_alarm();
        Ok(())
    }

    /// The process ends at once. What is on disk stays; it has to give the jobs as they were.
    pub(crate) fn crash_coordinator(&mut self) -> Result<(), Violation> {
        let Some(process) = self.coordinator.process.take() else { return Ok(()) };
        self.books.excuses.absence = true;
        if self.net.calls.iter().any(|call| call.stage == Stage::Storing) {
            self.books.see(Sight::SpooledUnlogged);
        }
        let arrives = self.dice.chance(50);
        self.net.coordinator_crashed(self.now, arrives);
        for (index, job) in process.jobs.iter().enumerate() {
            let read = match self.coordinator.logs[index].is_empty() {
                true => None,
                false => Some(self.coordinator.replay(index)?),
            };
            if read != *job && self.plant != Some(Plant::ActsBeforeItLogs) {
                return Err(Violation::LogDiffers { job: index });
            }
            self.coordinator.read[index] = read;
        }
        Ok(())
    }

    /// The actor takes some messages, and writes what they come to into the logs.
    pub(crate) fn mailbox(&mut self) -> Result<(), Violation> {
        let count = 1 + self.dice.below(3);
        for _ in 0..count {
            let Some(process) = &mut self.coordinator.process else { return Ok(()) };
            let unwritten = std::mem::take(&mut process.unwritten);
            unwritten.into_iter().for_each(|(job, bytes)| self.coordinator.logs[job].push(bytes));
            let Some(message) = process.mailbox.pop_front() else { break };
            self.trace.note(0x30, || format!("the coordinator takes {message:?}"));
            self.take(message)?;
        }
        self.set_alarm();
        Ok(())
    }

    /// The timer goes off.
    pub(crate) fn wake(&mut self) -> Result<(), Violation> {
        self.all(&Event::Tick)?;
        self.set_alarm();
        Ok(())
    }

    /// Does the next of what the logs have already.
    pub(crate) fn settle(&mut self) -> Result<(), Violation> {
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        if let Some((job, task)) = process.commands.pop_front() {
            self.trace.note(0x40, || format!("job-{job} has done: {task:?}"));
            match task {
                Task::Command(command) => self.carry_out(job, command),
                Task::Tell { site } => self.tell_end(job, site),
            }
        } else if let Some(reply) = process.replies.pop_front() {
            self.trace.note(0x41, || format!("the coordinator answers: {reply:?}"));
            self.reply(reply)
        } else {
            Ok(())
        }
    }

    /// Forgets a round's model when no job needs it.
    pub(crate) fn remove_model(&mut self, model: Digest) {
        if self.coordinator.process.as_ref().is_some_and(|process| !process.needs(model)) {
            self.coordinator.models.remove(&model);
        }
    }
}

impl Order {
    /// The hold that an order asks for.
    pub(crate) fn hold(queue: bool) -> Hold {
        if queue { Hold::Queued } else { Hold::Paused { operator: "ops".to_owned() } }
    }
}
