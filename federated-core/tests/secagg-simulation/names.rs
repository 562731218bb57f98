//! Names, long-lived keys, and numbers in place of them.

use std::sync::{Arc, LazyLock};

use federated_core::{
    ids::{JobName, ParticipantName, TaskId},
    privacy::secagg::{PinnedRoster, SigningSecret, Site},
};
use zeroize::Zeroizing;

/// The most sites of a federation.
pub(crate) const MOST_SITES: usize = 5;

static NAMES: LazyLock<Vec<ParticipantName>> =
    LazyLock::new(|| (0..MOST_SITES).map(|site| format!("site-{site}").parse().expect("a name")).collect());
static JOB: LazyLock<JobName> = LazyLock::new(|| "job".parse().expect("a name"));
static PINNED: LazyLock<PinnedRoster> =
    LazyLock::new(|| (0..MOST_SITES).map(|site| (name(site).clone(), signing(site).public())).collect());
static SITES: LazyLock<Vec<Arc<Site>>> = LazyLock::new(|| {
    let site = |site: usize| Site {
        name: name(site).clone(),
        signing: signing(site),
        roster: PINNED.clone(),
        min_cohort: 3,
        min_threshold: 2,
    };
    (0..MOST_SITES).map(|index| Arc::new(site(index))).collect()
});

pub(crate) fn name(site: usize) -> &'static ParticipantName {
    &NAMES[site]
}

pub(crate) fn job() -> &'static JobName {
    &JOB
}

pub(crate) fn site_of(name: &ParticipantName) -> usize {
    NAMES.iter().position(|site| site == name).expect("a site of the simulation")
}

pub(crate) fn pinned() -> PinnedRoster {
    PINNED.clone()
}

/// Who a site is. Its long-lived key is the same in every schedule.
pub(crate) fn site(site: usize) -> Arc<Site> {
    Arc::clone(&SITES[site])
}

fn signing(site: usize) -> SigningSecret {
    let byte = u8::try_from(site + 1).expect("few sites");
    SigningSecret::from_seed(Zeroizing::new([byte; 32]))
}

/// An attempt at a round: what a session belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attempt {
    pub(crate) round: u32,
    pub(crate) attempt: u32,
}

impl Attempt {
    pub(crate) fn of(task: &TaskId) -> Self {
        Self { round: task.round.get(), attempt: task.attempt }
    }
}
