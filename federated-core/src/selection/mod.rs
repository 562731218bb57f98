//! Choosing who takes part in a round.

mod uniform;

use std::collections::BTreeSet;

pub use uniform::UniformSelector;

use crate::ids::{ParticipantName, TaskId};

/// Chooses the cohort of a round among those who are there.
///
/// # Laws
/// The choice is a function of the arguments alone: asked again, a selector gives the same cohort. It returns
/// `min(count, candidates.len())` different candidates.
pub trait ClientSelector: std::fmt::Debug + Send + Sync {
    /// Chooses `count` of `candidates` for the task; `seed` is the job's.
    fn select(
        &self,
        seed: u64,
        task: &TaskId,
        candidates: &BTreeSet<ParticipantName>,
        count: usize,
    ) -> BTreeSet<ParticipantName>;
}
