//! Strategies: what each participant is asked to do, and what becomes of the answers.
//!
//! A [`Strategy`] is a pure description. It holds no network and runs no loop: the round machine does that.

mod fed_avg;
mod fed_sgd;

use serde::{Deserialize, Serialize};

pub use fed_avg::FedAvg;
pub use fed_sgd::FedSgd;

use crate::{aggregate::Aggregation, ids::RoundNumber};

/// How many examples make one local gradient step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum BatchSize {
    /// All of the site's examples at once: the paper's B = infinity.
    All,
    /// This many examples, at least 1.
    Examples(std::num::NonZeroU32),
}

/// What a participant is asked to do with the model: the paper's E, B and learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalWork {
    /// Passes over the site's examples (E), at least 1.
    pub epochs: std::num::NonZeroU32,
    /// Examples in a step (B).
    pub batch: BatchSize,
    /// Step size, finite and above 0.
    pub learning_rate: f32,
}

/// One way of federated optimisation.
pub trait Strategy: std::fmt::Debug + Send + Sync {
    /// The name used in job files and reports, for instance `fedavg`.
    fn name(&self) -> &'static str;

    /// What participants are asked to do in this round.
    fn local_work(&self, round: RoundNumber) -> LocalWork;

    /// How the updates of a round become one.
    fn aggregation(&self) -> Aggregation<'_>;

    /// Makes the new model out of the old one and the combined update, for any stretch of elements.
    ///
    /// Both slices have the same length; `model` is changed in place. The default adds the update, which makes the
    /// model the mean of the participants' models, or what a robust rule takes for it.
    fn apply(&self, model: &mut [f32], combined: &[f32]) {
        model.iter_mut().zip(combined).for_each(|(value, change)| *value += change);
    }
}
