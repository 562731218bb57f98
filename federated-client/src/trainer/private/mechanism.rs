use std::num::NonZeroU32;

use federated_core::{
    privacy::dp::{
        Accountant, AccountantError, ClipNorm, MechanismStep, NoiseMultiplier, SamplingRate, Target,
        least_noise, terms::PrivacyTerms,
    },
    update::ExampleCount,
};
use serde::Serialize;

/// Poisson batches: how likely an example is in one, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "these two numbers are what Poisson sampling is")]
pub struct Sampling {
    /// The chance with which each example is in the batch of a step.
    pub rate: SamplingRate,
    /// The steps.
    pub steps: NonZeroU32,
}

impl Sampling {
    /// As many batches, of so many examples on average, as make `epochs` passes over so many examples, rounded up.
    ///
    /// Nothing but these three numbers goes in, so what a task will spend is known before there are examples.
    ///
    /// # Examples
    /// ```
    /// use federated_client::trainer::private::Sampling;
    /// use federated_core::update::ExampleCount;
    ///
    /// let sampling = Sampling::passes(ExampleCount::new(60_000)?, 512.try_into()?, 40.try_into()?);
    /// assert_eq!((sampling.rate.get(), sampling.steps.get()), (512.0 / 60_000.0, 4_688));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn passes(examples: ExampleCount, batch: NonZeroU32, epochs: NonZeroU32) -> Self {
        if batch.get() >= examples.get() {
            return Self { rate: SamplingRate::FULL, steps: epochs };
        }
        let rate = SamplingRate::new(f64::from(batch.get()) / f64::from(examples.get()));
        let steps = (u64::from(epochs.get()) * u64::from(examples.get())).div_ceil(batch.get().into());
        let steps = u32::try_from(steps).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX);
        Self { rate: rate.unwrap_or(SamplingRate::FULL), steps }
    }

    /// The least noise multiplier with which `tasks` tasks of such batches keep within a budget, by the closest accountant.
    ///
    /// # Errors
    /// [`AccountantError::Unreachable`] when no noise is enough.
    pub fn least_noise(self, target: Target, tasks: NonZeroU32) -> Result<NoiseMultiplier, AccountantError> {
        let rounds = self.steps.saturating_mul(tasks);
        least_noise(Accountant::closest_at(self.rate), target, self.rate, rounds)
    }
}

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
    /// What a task asks for, at a site that says it has so many examples.
    #[must_use]
    pub const fn of_task(terms: &PrivacyTerms, public_examples: ExampleCount) -> Self {
        Self {
            noise_multiplier: terms.noise_multiplier(),
            clip: terms.clip(),
            sampling_rate: terms.sampling_rate(),
            steps: terms.steps(),
            public_examples,
        }
    }

    /// What sums are divided by: the size that a batch is expected to have.
    #[must_use]
    pub fn expected_batch(&self) -> f64 {
        self.sampling_rate.get() * f64::from(self.public_examples.get())
    }

    /// What one task with these numbers costs: known before it begins, and whatever the examples are.
    #[must_use]
    pub const fn work(&self, simulated: bool) -> PrivateWork {
        let Self { noise_multiplier, clip, sampling_rate, steps, .. } = *self;
        PrivateWork { noise_multiplier, sampling_rate, clip, steps: steps.get(), simulated }
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

impl PrivateWork {
    /// As an accountant counts it; `None` when no step was begun.
    #[must_use]
    pub fn step(&self) -> Option<MechanismStep> {
        let rounds = NonZeroU32::new(self.steps)?;
        Some(MechanismStep {
            noise_multiplier: self.noise_multiplier,
            sampling_rate: self.sampling_rate,
            rounds,
        })
    }
}

#[cfg(test)]
mod tests {
    use federated_core::privacy::dp::{Delta, Epsilon};

    use super::*;

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn passes_are_rounded_up_to_whole_steps_and_a_batch_of_all_is_every_example() {
        let sampling = |examples, batch, epochs| {
            let sampling =
                Sampling::passes(ExampleCount::new(examples).unwrap(), number(batch), number(epochs));
            (sampling.rate.get(), sampling.steps.get())
        };
        assert_eq!(sampling(100, 10, 3), (0.1, 30));
        assert_eq!(sampling(100, 64, 1), (0.64, 2));
        assert_eq!(sampling(1, 1, 7), (1.0, 7));
        assert_eq!(sampling(99, 100, 2), (1.0, 2));
        assert_eq!(sampling(u32::MAX.into(), 1, u32::MAX), (1.0 / f64::from(u32::MAX), u32::MAX));
    }

    #[test]
    fn the_noise_of_a_budget_keeps_to_it_over_all_tasks() {
        let target = Target { epsilon: Epsilon::new(1.2).unwrap(), delta: Delta::new(1e-5).unwrap() };
        let sampling = Sampling::passes(ExampleCount::new(6_000).unwrap(), number(512), number(2));
        let noise_multiplier = sampling.least_noise(target, number(5)).unwrap();
        let numbers = DpSgd {
            noise_multiplier,
            clip: ClipNorm::new(0.1).unwrap(),
            sampling_rate: sampling.rate,
            steps: sampling.steps,
            public_examples: ExampleCount::new(6_000).unwrap(),
        };
        let work = numbers.work(false);
        let all = std::iter::repeat_n(work.step().unwrap(), 5).collect::<Vec<_>>().into();
        let spent = Accountant::Pld.epsilon(&all, target.delta).unwrap().epsilon;
        assert!(spent <= 1.2 && spent > 1.19, "{spent}");
        assert_eq!(PrivateWork { steps: 0, ..work }.step(), None);
    }
}
