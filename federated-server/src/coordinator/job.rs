use std::collections::{BTreeMap, BTreeSet, VecDeque};

use federated_core::{
    compression::Encoding,
    config::{JobConfig, StrategyConfig},
    ids::{Digest, JobName, ParticipantName, RoundNumber},
    model::ModelLayout,
    round::{RoundPhase, Run},
    strategy::Strategy,
    task::{TrainTask, task_seed},
    time::Timestamp,
};
use federated_proto::version::MINOR_ENCODINGS;
use serde::{Deserialize, Serialize};

/// Most incidents that are kept.
const MAX_INCIDENTS: usize = 100;

/// Something that was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Incident {
    pub at: Timestamp,
    pub participant: ParticipantName,
    pub reason: String,
    pub message: String,
}

/// What travelled while an attempt at a round went on, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Traffic {
    /// Updates that got their receipts.
    pub up: u64,
    /// What these would be without compression.
    pub up_plain: u64,
    /// Models, by downloads that ended.
    pub down: u64,
}

/// A job with its run: what is written to disk at every step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub started: Timestamp,
    pub layout: ModelLayout,
    pub initial_model: Digest,
    pub strategy: StrategyConfig,
    pub compression: Encoding,
    pub settings: BTreeMap<String, String>,
    pub run: Run,
    pub incidents: VecDeque<Incident>,
    /// Of the attempt that goes on.
    pub traffic: Traffic,
    /// Of each attempt in the run's history.
    pub ledger: Vec<Traffic>,
    /// Who contributed and was not connected when the job ended: they are told when they come back.
    pub untold: BTreeSet<ParticipantName>,
}

impl Job {
    pub(super) fn new(config: JobConfig, layout: ModelLayout, run: Run, started: Timestamp) -> Self {
        let initial_model = run.model();
        let JobConfig { strategy, compression, settings, .. } = config;
        Self {
            started,
            layout,
            initial_model,
            strategy,
            compression,
            settings,
            run,
            incidents: VecDeque::new(),
            traffic: Traffic::default(),
            ledger: Vec::new(),
            untold: BTreeSet::new(),
        }
    }

    pub(super) const fn name(&self) -> &JobName {
        self.run.plan().job()
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.run.has_ended()
    }

    pub(super) fn strategy(&self) -> Box<dyn Strategy> {
        self.strategy.build()
    }

    /// Closes the accounts of the attempts that have ended.
    pub(super) fn balance(&mut self) {
        while self.ledger.len() < self.run.history().len() {
            self.ledger.push(std::mem::take(&mut self.traffic));
        }
    }

    /// What travelled since the job began.
    pub(super) fn total_traffic(&self) -> Traffic {
        let add = |sum: Traffic, next: &Traffic| Traffic {
            up: sum.up + next.up,
            up_plain: sum.up_plain + next.up_plain,
            down: sum.down + next.down,
        };
        self.ledger.iter().fold(self.traffic, add)
    }

    /// The task of the current attempt, as this participant gets it, who speaks this minor version.
    pub(super) fn task_for(&self, participant: &ParticipantName, minor: u32) -> TrainTask {
        let id = self.run.task();
        let round: RoundNumber = id.round;
        let cohort_size = match self.run.phase() {
            RoundPhase::Training { cohort, .. } => u32::try_from(cohort.len()).unwrap_or(u32::MAX),
            _ => 0,
        };
        TrainTask {
            rounds: self.run.plan().rounds().get(),
            layout: self.layout.clone(),
            model: self.run.model(),
            work: self.strategy().local_work(round),
            seed: task_seed(self.run.plan().seed(), &id, participant),
            cohort_size,
            // An older participant would not see what is asked, and sends plain values.
            encoding: if minor >= MINOR_ENCODINGS { self.compression } else { Encoding::PLAIN },
            settings: self.settings.clone(),
            id,
        }
    }

    pub(super) fn note(&mut self, incident: Incident) {
        if self.incidents.len() == MAX_INCIDENTS {
            self.incidents.pop_front();
        }
        self.incidents.push_back(incident);
    }

    /// Whether the job still needs a model.
    pub(super) fn needs(&self, model: Digest) -> bool {
        self.initial_model == model || self.run.model() == model
    }

    /// Everyone whose update counts in some round.
    pub(super) fn contributors(&self) -> BTreeSet<ParticipantName> {
        self.run.history().iter().flat_map(|round| round.contributors.iter().cloned()).collect()
    }
}
