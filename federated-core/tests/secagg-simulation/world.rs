//! The world: one coordinator, its sites, the network between them, and what time it is.

use std::{num::NonZeroU32, sync::LazyLock};

use federated_core::{
    config::JobConfig,
    ids::{Digest, RoundNumber},
    job::JobTerms,
    model::{ModelLayout, TensorSpec},
    privacy::secagg::{Fraction, Grouping, Modulus, Terms, VectorPlan},
    round::{CohortPolicy, RunPlan, SecurePlan},
    task::training_hash,
    update::ExampleCount,
};

use crate::{
    books::Books,
    coordinator::Coordinator,
    dice::Dice,
    life::Step,
    names::{self, MOST_SITES},
    network::Network,
    planted::Plant,
    schedule::Setup,
    site::Site,
    trace::Trace,
};

/// When the world begins, in milliseconds.
pub(crate) const EPOCH: u64 = 1_700_000_000_000;
/// How long the coordinator may take a connection for open that is broken, in milliseconds.
pub(crate) const UNNOTICED: u64 = 30_000;
/// The longest time-out of the job, in milliseconds: its deadline.
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
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [MOST_SITES as u64])]).expect("a layout");
    JobTerms::new(JobConfig::parse(JOB).expect("a job"), layout, Digest::of(b"initial"))
});

/// What is agreed for the job.
pub(crate) fn terms(setup: &Setup) -> JobTerms {
    let number = |count: u8| NonZeroU32::new(u32::from(count).max(1)).expect("at least 1");
    let cohort = CohortPolicy {
        eligible: None,
        fraction: if setup.early { 0.7 } else { 1.0 },
        min_participants: number(setup.min_participants),
        quorum: number(setup.quorum),
        over_selection: if setup.early { 1.5 } else { 1.0 },
    };
    let (name, timeouts) = (names::job().clone(), TEMPLATE.plan.timeouts());
    let plan = RunPlan::new(name, number(setup.rounds), number(setup.attempts), 7, cohort, timeouts);
    let work = TEMPLATE.strategy.build().local_work(RoundNumber::FIRST);
    let training = training_hash(setup.rounds.into(), &TEMPLATE.layout, &work, &TEMPLATE.settings, None);
    let roster = setup.pinned.then(names::pinned);
    let secure = SecurePlan { terms: secure_terms(setup), grouping: Grouping::WHOLE, training, roster };
    JobTerms { plan: plan.expect("setups are sound").secured(secure), ..TEMPLATE.clone() }
}

fn secure_terms(setup: &Setup) -> Terms {
    let modulus = Modulus::try_from(u32::from(setup.modulus)).expect("a modulus");
    let (examples, sites) = (ExampleCount::new(1_000).expect("a count"), u32::from(setup.sites));
    let metrics = std::collections::BTreeMap::new();
    let vector = VectorPlan::new(modulus, 1.0, examples, sites, metrics).expect("a plan");
    let corrupt = Fraction::from_millionths(if setup.third { 333_333 } else { 0 }).expect("a fraction");
    let dropouts = Fraction::from_millionths(0).expect("a fraction");
    Terms::new(corrupt, dropouts, (3, sites), None, vector).expect("setups are safe")
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) setup: Setup,
    /// The time that passes, in milliseconds.
    pub(crate) now: u64,
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
            dice: Dice::new(setup.order),
            coordinator: Coordinator::new(&setup),
            sites: (0..usize::from(setup.sites)).map(|site| Site::new(site, setup.order)).collect(),
            net: Network::default(),
            books: Books::default(),
            trace,
            plant,
            fair: false,
            steps: Vec::new(),
        }
    }
}
