use std::num::NonZeroU32;

use federated_core::{
    privacy::dp::{ClipNorm, NoiseMultiplier, SamplingRate},
    update::ExampleCount,
};
use serde::Serialize;

/// The numbers of stochastic gradient descent with differential privacy, for one task.
///
/// # References
/// Abadi et al., CCS 2016, Algorithm 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpSgd {
    /// The standard deviation of the noise on a sum of clipped gradients, divided by the clip norm.
    pub noise_multiplier: NoiseMultiplier,
    /// The length that the gradient of an example is clipped to.
    pub clip: ClipNorm,
    /// The chance with which each example is in the batch of a step.
    pub sampling_rate: SamplingRate,
    /// The steps of a task.
    pub steps: NonZeroU32,
    /// How many examples the site says that it has: the update's weight, and with the sampling rate what sums are divided by.
    ///
    /// It is public, so it must not be counted from the examples: their number may tell of one of them.
    pub public_examples: ExampleCount,
}

impl DpSgd {
    /// What sums are divided by: the size that a batch is expected to have.
    #[must_use]
    pub fn expected_batch(&self) -> f64 {
        self.sampling_rate.get() * f64::from(self.public_examples.get())
    }
}

/// What was done with examples, as a ledger has to count it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PrivateWork {
    /// The noise of each step, divided by the clip norm.
    pub noise_multiplier: NoiseMultiplier,
    /// The chance with which each example was in a step.
    pub sampling_rate: SamplingRate,
    /// The length that gradients were clipped to.
    pub clip: ClipNorm,
    /// How many steps: those that were begun, if not all were done.
    pub steps: u32,
    /// Whether batches and noise came from a seed that somebody may know: then there is NO PRIVACY, and it is a simulation.
    pub simulated: bool,
}
