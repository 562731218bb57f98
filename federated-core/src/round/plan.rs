use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    fault::Fault,
    ids::{Fingerprint, JobName, ParticipantName},
    privacy::secagg::{Grouping, PinnedRoster, Terms},
};

/// Why a plan makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The fraction of participants is out of range.
    #[error("cohort.fraction: expected a number above 0 and at most 1, found {found}")]
    Fraction {
        /// What was found.
        found: f64,
    },
    /// The over-selection factor is out of range.
    #[error("cohort.over_selection: expected a number between 1 and 10, found {found}")]
    OverSelection {
        /// What was found.
        found: f64,
    },
    /// The quorum can never be met.
    #[error(
        "cohort.quorum: expected at most cohort.min_participants ({min_participants}), found {quorum}; \
         a round starts with min_participants present, so a larger quorum could never be met"
    )]
    Quorum {
        /// The quorum.
        quorum: u32,
        /// How many must be present.
        min_participants: u32,
    },
    /// Fewer participants are named than must be present.
    #[error(
        "cohort.participants: expected at least cohort.min_participants ({min_participants}) names, found {named}"
    )]
    Named {
        /// How many are named.
        named: usize,
        /// How many must be present.
        min_participants: u32,
    },
}

impl PlanError {
    /// Whose fault it is: plans are written by the caller.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Who takes part in a round, and how many are enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CohortPolicy {
    /// Who may take part; everyone who is enrolled when `None`.
    pub eligible: Option<BTreeSet<ParticipantName>>,
    /// The share of those present that a round aims for: the paper's C, above 0 and at most 1.
    pub fraction: f64,
    /// A round begins when this many are present.
    pub min_participants: NonZeroU32,
    /// A round counts when at least this many updates are in; at most `min_participants`.
    pub quorum: NonZeroU32,
    /// Tasks handed out for each update aimed for, 1 to 10: 1.3 asks 13 for 10, and the first 10 to answer count.
    pub over_selection: f64,
}

impl CohortPolicy {
    fn check(&self) -> Result<(), PlanError> {
        if !(self.fraction > 0.0 && self.fraction <= 1.0) {
            return Err(PlanError::Fraction { found: self.fraction });
        }
        if !(1.0..=10.0).contains(&self.over_selection) {
            return Err(PlanError::OverSelection { found: self.over_selection });
        }
        let (quorum, min_participants) = (self.quorum.get(), self.min_participants.get());
        if quorum > min_participants {
            return Err(PlanError::Quorum { quorum, min_participants });
        }
        match &self.eligible {
            Some(names) if (names.len() as u64) < u64::from(min_participants) => {
                Err(PlanError::Named { named: names.len(), min_participants })
            }
            _ => Ok(()),
        }
    }

    /// Whether this participant may take part at all.
    #[must_use]
    pub fn is_eligible(&self, participant: &ParticipantName) -> bool {
        self.eligible.as_ref().is_none_or(|names| names.contains(participant))
    }

    /// How many updates a round aims for with `present` eligible participants: at least the quorum.
    #[must_use]
    pub fn target(&self, present: usize) -> usize {
        let quorum = usize::try_from(self.quorum.get()).unwrap_or(usize::MAX);
        scaled(present, self.fraction).max(quorum).min(present)
    }

    /// How many are given a task when `present` are there: the target with over-selection.
    #[must_use]
    pub fn selected(&self, present: usize) -> usize {
        scaled(self.target(present), self.over_selection).min(present)
    }
}

/// `ceil(count * factor)`; a hair less than the product, so that 10 * 1.3 is 13 and not 14.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "counts are far below 2^52, and the float is non-negative"
)]
fn scaled(count: usize, factor: f64) -> usize {
    (count as f64 * factor - 1e-9).ceil().max(0.0) as usize
}

/// The three time-outs of a round. Each has one job; progress decides everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// How long participants have for one attempt. Then the round closes with the updates that are in.
    pub deadline: Duration,
    /// How long a member of the cohort may be disconnected before the round goes on without it.
    pub absence: Duration,
    /// How long to wait before an abandoned round is tried again.
    pub retry: Duration,
}

/// Everything about a run that does not change while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPlan {
    pub(super) job: JobName,
    pub(super) rounds: NonZeroU32,
    pub(super) attempts: NonZeroU32,
    pub(super) seed: u64,
    pub(super) cohort: CohortPolicy,
    pub(super) timeouts: Timeouts,
    pub(super) secure: Option<SecurePlan>,
}

/// How updates are aggregated securely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecurePlan {
    /// What every session's header says.
    pub terms: Terms,
    /// In how many sessions a cohort is summed.
    pub grouping: Grouping,
    /// What participants do, in every session's header: see [`training_hash`](crate::task::training_hash).
    pub training: Fingerprint,
    /// The participants' long-lived keys, where the coordinator has them: so that one with a wrong key fails alone. It
    /// never delivers them.
    pub roster: Option<PinnedRoster>,
}

impl RunPlan {
    /// Checks a plan: `rounds` rounds, each tried at most `attempts` times; `seed` decides every choice.
    ///
    /// # Errors
    /// [`PlanError`] naming the setting, what was expected and what was found.
    pub fn new(
        job: JobName,
        rounds: NonZeroU32,
        attempts: NonZeroU32,
        seed: u64,
        cohort: CohortPolicy,
        timeouts: Timeouts,
    ) -> Result<Self, PlanError> {
        cohort.check()?;
        Ok(Self { job, rounds, attempts, seed, cohort, timeouts, secure: None })
    }

    /// The same with updates that are aggregated securely.
    #[must_use]
    pub fn secured(self, secure: SecurePlan) -> Self {
        Self { secure: Some(secure), ..self }
    }

    /// How updates are aggregated securely, if they are.
    #[must_use]
    pub const fn secure(&self) -> Option<&SecurePlan> {
        self.secure.as_ref()
    }

    /// The job.
    #[must_use]
    pub const fn job(&self) -> &JobName {
        &self.job
    }

    /// How many rounds, at least 1.
    #[must_use]
    pub const fn rounds(&self) -> NonZeroU32 {
        self.rounds
    }

    /// How often a round is tried.
    #[must_use]
    pub const fn attempts(&self) -> NonZeroU32 {
        self.attempts
    }

    /// The seed of every choice.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Who takes part.
    #[must_use]
    pub const fn cohort(&self) -> &CohortPolicy {
        &self.cohort
    }

    /// The time-outs.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }
}
