//! Names, and numbers in place of them.

use std::sync::LazyLock;

use federated_core::ids::{JobName, ParticipantName, TaskId};

static SITES: LazyLock<Vec<ParticipantName>> =
    LazyLock::new(|| (0..6).map(|site| format!("site-{site}").parse().expect("a name")).collect());
static JOBS: LazyLock<Vec<JobName>> =
    LazyLock::new(|| (0..2).map(|job| format!("job-{job}").parse().expect("a name")).collect());

pub(crate) fn site(index: usize) -> &'static ParticipantName {
    &SITES[index]
}

pub(crate) fn job(index: usize) -> &'static JobName {
    &JOBS[index]
}

pub(crate) fn site_of(name: &ParticipantName) -> usize {
    SITES.iter().position(|site| site == name).expect("a site of the simulation")
}

pub(crate) fn job_of(name: &JobName) -> usize {
    JOBS.iter().position(|job| job == name).expect("a job of the simulation")
}

/// Whose update for which task: the place that it has in the spool and in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) job: usize,
    pub(crate) round: u32,
    pub(crate) attempt: u32,
    pub(crate) site: usize,
}

impl Slot {
    pub(crate) fn new(task: &TaskId, site: usize) -> Self {
        Self { job: job_of(&task.job), round: task.round.get(), attempt: task.attempt, site }
    }

    /// Whether it belongs to the same attempt.
    pub(crate) fn is_of(&self, task: &TaskId) -> bool {
        (self.round, self.attempt) == (task.round.get(), task.attempt) && *job(self.job) == task.job
    }
}
