//! The model that goes round, and what must become of it.

use anyhow::{Context, Result};
use federated_core::model::{ModelLayout, ModelParameters, TensorSpec};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::job::CLIP;

/// The largest magnitude of an initial value.
const SPREAD: f32 = 0.1;

/// The values of the initial model, one after another, without end: spread evenly, as bytes that do not repeat.
pub(crate) fn initial_values(seed: u64) -> impl Iterator<Item = f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // 24 bits are what an f32 holds exactly.
    std::iter::repeat_with(move || ((random.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0) * SPREAD)
}

/// The initial model: one tensor of `params` values.
pub(crate) fn initial(params: u64, seed: u64) -> Result<ModelParameters> {
    let count = usize::try_from(params).context("a model that this machine can address")?;
    let layout = ModelLayout::new(vec![TensorSpec::new("weights", [params])])?;
    Ok(ModelParameters::new(layout, initial_values(seed).take(count).collect())?)
}

/// What the training of a participant adds to every value.
pub(crate) fn constant(participant: u32) -> f32 {
    1.0 + 0.001 * (participant + 1) as f32
}

/// What must become of the initial model: all participants have as many examples, so a round adds the mean constant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation {
    seed: u64,
    rounds: u32,
    mean: f64,
    /// What a round's mean may be off before it is rounded to f32.
    step: f64,
}

impl Expectation {
    pub(crate) fn new(seed: u64, rounds: u32, clients: u32, quantised: bool) -> Self {
        let sum: f64 = (0..clients).map(|participant| f64::from(constant(participant))).sum();
        // Of 32 bits each participant has what is left beside the sum's: 15 at least, for up to 2^17 participants.
        let bits = 32 - i32::try_from(clients.next_power_of_two().trailing_zeros()).unwrap_or(17) - 2;
        let step = if quantised { CLIP / f64::powi(2.0, bits) } else { 0.0 };
        Self { seed, rounds, mean: sum / f64::from(clients), step }
    }

    /// The largest difference between a value of the final model and what it must be.
    pub(crate) fn largest_error(&self, values: &[f32]) -> f64 {
        let added = f64::from(self.rounds) * self.mean;
        let errors = values.iter().zip(initial_values(self.seed)).map(|(found, initial)| {
            let error = (f64::from(*found) - (f64::from(initial) + added)).abs();
            // `max` would leave it out.
            if error.is_nan() { f64::INFINITY } else { error }
        });
        errors.fold(0.0, f64::max)
    }

    /// What rounding to f32, of the mean and of the new model in each round, can make of it.
    pub(crate) fn tolerance(&self) -> f64 {
        let largest = f64::from(SPREAD) + f64::from(self.rounds) * self.mean;
        f64::from(self.rounds) * (f64::from(f32::EPSILON) * largest + self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_model_is_spread_around_zero_and_follows_from_the_seed() {
        let model = initial(10_000, 1).unwrap();
        assert!(model.values().iter().all(|value| value.abs() <= SPREAD));
        assert!(model.values().iter().any(|value| *value < -0.09));
        assert!(model.values().iter().any(|value| *value > 0.09));
        assert_eq!(initial(10_000, 1).unwrap(), model);
        assert_ne!(initial(10_000, 2).unwrap(), model);
    }

    #[test]
    fn rounding_is_tolerated_and_a_missing_round_is_not() {
        let (seed, clients) = (3, 5);
        let mean = (0..clients).map(|participant| constant(participant) / clients as f32).sum::<f32>();
        let after = |rounds: u32| -> Vec<f32> {
            let grown = |value| (0..rounds).fold(value, |value, _| value + mean);
            initial_values(seed).take(1_000).map(grown).collect()
        };
        let expected = Expectation::new(seed, 8, clients, false);
        assert!(expected.largest_error(&after(8)) <= expected.tolerance());
        assert!(expected.largest_error(&after(7)) > 1.0);
        let mut broken = after(8);
        broken[17] = f32::NAN;
        assert!(expected.largest_error(&broken) > expected.tolerance());
    }
}
