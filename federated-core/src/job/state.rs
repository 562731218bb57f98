use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{JobEvent, JobTerms, Traffic, traffic};
use crate::{
    compression::Encoding,
    ids::{Digest, JobName, ParticipantName},
    round::{Command, Event, OutReason, RoundError, RoundPhase, Run, UpdateKind},
    selection::ClientSelector,
    strategy::Strategy,
    task::{SecureTask, TrainTask, task_seed},
    time::Timestamp,
};

/// Most incidents that are kept.
const MAX_INCIDENTS: usize = 100;

/// Something that was refused, or that a participant refused to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub participant: ParticipantName,
    /// The reason code.
    pub reason: String,
    /// In words.
    pub message: String,
}

/// Where a job is. What its log gives, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    terms: Arc<JobTerms>,
    started: Timestamp,
    /// When the last event happened: time does not go back for a job.
    last: Timestamp,
    /// By how much the clock was put back since the job began: the job's time is so much ahead of it.
    ahead: Duration,
    run: Run,
    incidents: Arc<VecDeque<Incident>>,
    /// Of the attempt that goes on.
    traffic: Traffic,
    /// Of each attempt in the run's history.
    ledger: Vec<Traffic>,
    untold: BTreeSet<ParticipantName>,
}

impl Job {
    /// A job before its first round.
    #[must_use]
    pub fn new(terms: JobTerms, present: BTreeSet<ParticipantName>, now: Timestamp) -> Self {
        let run = Run::new(terms.plan.clone(), terms.initial_model, present, now);
        Self {
            terms: Arc::new(terms),
            started: now,
            last: now,
            ahead: Duration::ZERO,
            run,
            incidents: Arc::default(),
            traffic: Traffic::default(),
            ledger: Vec::new(),
            untold: BTreeSet::new(),
        }
    }

    /// Takes one event and gives the next state, with what the edge has to do.
    ///
    /// A clock that was put back stands still for the job at that event, and goes on from there: nobody waits until it
    /// shows again what it showed before. The moments in commands are the clock's.
    ///
    /// When to wake is said after every [`JobEvent::Round`] and after nothing else: a moment that was asked for before
    /// any other event stands, and the edge that starts anew begins with [`Event::Tick`].
    ///
    /// # Errors
    /// [`RoundError`] when the edge contradicts itself.
    pub fn handle(
        mut self,
        event: JobEvent,
        selector: &dyn ClientSelector,
        now: Timestamp,
    ) -> Result<(Self, Vec<Command>), RoundError> {
        let before = self.last;
        self.ahead += before.since(now.after(self.ahead));
        let now = now.after(self.ahead);
        let mut commands = match event {
            // A job that goes on is not started.
            JobEvent::Created { .. } => Vec::new(),
            JobEvent::Round(event) => {
                self.account(&event, now);
                let (run, commands) = self.run.handle(event, selector, now)?;
                self.run = run;
                commands
            }
            JobEvent::Restarted => {
                let (run, commands) = self.run.resumed(now.since(before), now);
                self.run = run;
                commands
            }
            JobEvent::Downloaded { bytes } => {
                self.traffic.down = self.traffic.down.saturating_add(bytes);
                Vec::new()
            }
            JobEvent::Told { participant } => {
                self.untold.remove(&participant);
                Vec::new()
            }
        };
        self.last = now;
        commands.iter_mut().for_each(|command| command.put_back(self.ahead));
        self.balance();
        let session_down = traffic::told(&self.run, &commands);
        self.traffic = self.traffic + Traffic { session_down, ..Traffic::default() };
        if commands.iter().any(|command| matches!(command, Command::Finished(_))) {
            self.untold = self.contributors();
        } else if !self.run.has_ended() {
            self.untold.clear();
        }
        Ok((self, commands))
    }

    /// Whether anything but the time differs. An event that changes nothing need not be in the log.
    #[must_use]
    pub fn differs(&self, earlier: &Self) -> bool {
        let Self { terms, started, last: _, ahead, run, incidents, traffic, ledger, untold } = self;
        *run != earlier.run
            || *terms != earlier.terms
            || *started != earlier.started
            || *ahead != earlier.ahead
            || *incidents != earlier.incidents
            || *traffic != earlier.traffic
            || *ledger != earlier.ledger
            || *untold != earlier.untold
    }

    /// Notes what an event means for the accounts, before the round machine has dealt with it.
    fn account(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::UpdateStored { participant, task, receipt } if self.run.expects(participant, task) => {
                let up = receipt.bytes;
                let up_plain = match receipt.kind {
                    UpdateKind::Open { .. } => self.terms.layout.bytes(),
                    // A masked vector cannot be compressed.
                    UpdateKind::Masked => up,
                };
                self.traffic = self.traffic + Traffic { up, up_plain, ..Traffic::default() };
            }
            Event::Answered { participant, task, message } => {
                let session_up = traffic::answered(&self.run, participant, task, message);
                self.traffic = self.traffic + Traffic { session_up, ..Traffic::default() };
            }
            // Whoever is not at work on the task has nothing to report: it must not fill the operator's list.
            Event::MemberFailed {
                participant,
                task,
                reason: OutReason::Declined { code, message } | OutReason::Refused { code, message },
            } if self.run.expects(participant, task) => {
                let (participant, reason, message) = (participant.clone(), code.clone(), message.clone());
                let incidents = Arc::make_mut(&mut self.incidents);
                if incidents.len() == MAX_INCIDENTS {
                    incidents.pop_front();
                }
                incidents.push_back(Incident { at: now, participant, reason, message });
            }
            _ => {}
        }
    }

    /// Closes the accounts of the attempts that have ended.
    fn balance(&mut self) {
        while self.ledger.len() < self.run.history().len() {
            self.ledger.push(std::mem::take(&mut self.traffic));
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &JobName {
        self.terms.plan.job()
    }

    /// What was agreed.
    #[must_use]
    pub fn terms(&self) -> &JobTerms {
        &self.terms
    }

    /// When it was started.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// When the last event happened, by the job's time: the clock's, unless that was put back.
    #[must_use]
    pub const fn last(&self) -> Timestamp {
        self.last
    }

    /// Its rounds.
    #[must_use]
    pub const fn run(&self) -> &Run {
        &self.run
    }

    /// What was refused last, oldest first; at most 100.
    #[must_use]
    pub fn incidents(&self) -> &VecDeque<Incident> {
        &self.incidents
    }

    /// What travelled, for each attempt in the run's history.
    #[must_use]
    pub fn ledger(&self) -> &[Traffic] {
        &self.ledger
    }

    /// What travelled since the job began.
    #[must_use]
    pub fn total_traffic(&self) -> Traffic {
        self.ledger.iter().fold(self.traffic, |sum, next| sum + *next)
    }

    /// Who contributed and has not been told how the job ended.
    #[must_use]
    pub const fn untold(&self) -> &BTreeSet<ParticipantName> {
        &self.untold
    }

    /// How its updates are made and combined.
    #[must_use]
    pub fn strategy(&self) -> Box<dyn Strategy> {
        self.terms.strategy.build()
    }

    /// The task of the current attempt, as this participant gets it; `encodings` says whether it knows other encodings
    /// than the plain one.
    #[must_use]
    pub fn task_for(&self, participant: &ParticipantName, encodings: bool) -> TrainTask {
        let id = self.run.task();
        let cohort_size = match self.run.phase() {
            RoundPhase::Training { cohort, .. } => u32::try_from(cohort.len()).unwrap_or(u32::MAX),
            _ => 0,
        };
        TrainTask {
            rounds: self.terms.plan.rounds().get(),
            layout: self.terms.layout.clone(),
            model: self.run.model(),
            work: self.strategy().local_work(id.round),
            seed: task_seed(self.terms.plan.seed(), &id, participant),
            cohort_size,
            encoding: if encodings { self.terms.compression } else { Encoding::PLAIN },
            settings: self.terms.settings.clone(),
            privacy: self.terms.privacy,
            secure: self.terms.plan.secure().map(|secure| {
                Box::new(SecureTask {
                    terms: secure.terms.clone(),
                    deadline: self.terms.plan.timeouts().deadline,
                })
            }),
            id,
        }
    }

    /// Whether the job still needs a model.
    #[must_use]
    pub fn needs(&self, model: Digest) -> bool {
        self.terms.initial_model == model || self.run.model() == model
    }

    /// Everyone whose update counts in some round.
    #[must_use]
    pub fn contributors(&self) -> BTreeSet<ParticipantName> {
        self.run.history().iter().flat_map(|round| round.contributors.iter().cloned()).collect()
    }
}
