//! The world: one coordinator, its sites, the network between them, and what time it is.

use std::{num::NonZeroU32, sync::LazyLock};

use federated_core::{
    config::JobConfig,
    job::JobTerms,
    model::{ModelLayout, TensorSpec},
    round::{CohortPolicy, RunPlan},
};

use crate::{
    books::Books, coordinator::Coordinator, dice::Dice, life::Step, model::OneHot, names, network::Network,
    planted::Plant, schedule::Setup, site::Site, trace::Trace,
};

/// When the world begins, by the coordinator's clock, in milliseconds.
pub(crate) const EPOCH: u64 = 1_700_000_000_000;
/// How long a side takes a connection for open that gives no sign of life, in milliseconds.
pub(crate) const SILENCE: u64 = 30_000;
/// The longest time-out of a job, in milliseconds: its deadline.
pub(crate) const LONGEST: u64 = 100_000;

const JOB: &str = r#"
name = "job"
rounds = 1
model = { initial = "initial.safetensors" }
strategy = { kind = "fedavg", local_epochs = 1, batch_size = 8, learning_rate = 0.1 }
cohort = { min_participants = 1, quorum = 1 }
timeouts = { deadline = "100s", absence = "10s", retry = "5s" }
"#;

static TEMPLATE: LazyLock<JobTerms> = LazyLock::new(|| {
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [1])]).expect("a layout");
    let initial = federated_core::ids::Digest::of(b"another is put in its place");
    JobTerms::new(JobConfig::parse(JOB).expect("a job"), layout, initial)
});

/// What is agreed for a job.
pub(crate) fn terms(setup: &Setup, job: usize) -> JobTerms {
    let number = |count: u8| NonZeroU32::new(u32::from(count)).expect("setups have no zero");
    let cohort = CohortPolicy {
        eligible: None,
        fraction: f64::from(setup.fraction) / 100.0,
        min_participants: number(setup.min_participants),
        quorum: number(setup.quorum),
        over_selection: f64::from(setup.over_selection) / 100.0,
    };
    let (name, timeouts) = (names::job(job).clone(), TEMPLATE.plan.timeouts());
    let plan = RunPlan::new(name, number(setup.rounds), number(setup.attempts), 7, cohort, timeouts);
    JobTerms {
        plan: plan.expect("setups are sound"),
        initial_model: OneHot::zeros(setup).digest(),
        ..TEMPLATE.clone()
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) setup: Setup,
    /// The time that passes, in milliseconds.
    pub(crate) now: u64,
    /// By how much the coordinator's clock is off, in milliseconds.
    pub(crate) skew: i64,
    pub(crate) dice: Dice,
    pub(crate) coordinator: Coordinator,
    pub(crate) sites: Vec<Site>,
    pub(crate) net: Network,
    pub(crate) books: Books,
    pub(crate) trace: Trace,
    pub(crate) plant: Option<Plant>,
    /// The faults have stopped.
    pub(crate) fair: bool,
    /// Memory for what can happen next.
    pub(crate) steps: Vec<Step>,
}

impl World {
    pub(crate) fn new(setup: Setup, plant: Option<Plant>, trace: Trace) -> Self {
        Self {
            setup,
            now: 0,
            skew: 0,
            dice: Dice::new(setup.order),
            coordinator: Coordinator::new(&setup),
            sites: (0..setup.sites).map(|_| Site::default()).collect(),
            net: Network::default(),
            books: Books::default(),
            trace,
            plant,
            fair: false,
            steps: Vec::new(),
        }
    }
}
