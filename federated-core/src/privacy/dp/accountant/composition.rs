use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::privacy::dp::{NoiseMultiplier, SamplingRate};

/// Some rounds that are alike: each releases a sum with Gaussian noise, over units that are sampled by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "these three numbers are what a step is")]
pub struct MechanismStep {
    /// Standard deviation of the noise, in units of what one unit can change the sum by.
    pub noise_multiplier: NoiseMultiplier,
    /// The chance with which each unit takes part in a round; 1: full participation.
    pub sampling_rate: SamplingRate,
    /// How many such rounds.
    pub rounds: NonZeroU32,
}

/// Everything that was released, or will be: steps of any kinds, in any order.
///
/// Steps of the same kind are kept as one and all are sorted, so that the order in which they were pushed makes no
/// difference, not even in the last digit. Nothing released is a composition too: it spends nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<MechanismStep>", into = "Vec<MechanismStep>")]
pub struct Composition {
    steps: Vec<MechanismStep>,
}

impl Composition {
    /// Nothing released.
    pub const EMPTY: Self = Self { steps: Vec::new() };

    /// Adds rounds to what was released.
    pub fn push(&mut self, step: MechanismStep) {
        // Kinds that are full stay as they are; a further entry takes what is beyond 2^32 - 1 rounds.
        let place = self.steps.partition_point(|other| order(other, &step).is_lt());
        if let Some(same) = self.steps.get_mut(place).filter(|other| order(other, &step).is_eq())
            && let Some(rounds) = same.rounds.checked_add(step.rounds.get())
        {
            same.rounds = rounds;
        } else {
            self.steps.insert(place, step);
        }
    }

    /// The kinds of rounds, with how many there are of each.
    #[must_use]
    pub fn steps(&self) -> &[MechanismStep] {
        &self.steps
    }

    /// How many rounds there are in all.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.steps.iter().map(|step| u64::from(step.rounds.get())).sum()
    }

    /// A sum over the rounds of something that each round of a kind adds.
    pub(super) fn total(&self, of_one: impl Fn(&MechanismStep) -> f64) -> f64 {
        self.steps.iter().map(|step| f64::from(step.rounds.get()) * of_one(step)).sum()
    }
}

fn order(a: &MechanismStep, b: &MechanismStep) -> std::cmp::Ordering {
    let noise = a.noise_multiplier.get().total_cmp(&b.noise_multiplier.get());
    noise.then(a.sampling_rate.get().total_cmp(&b.sampling_rate.get()))
}

impl FromIterator<MechanismStep> for Composition {
    fn from_iter<I: IntoIterator<Item = MechanismStep>>(steps: I) -> Self {
        let mut composition = Self::default();
        steps.into_iter().for_each(|step| composition.push(step));
        composition
    }
}

impl From<MechanismStep> for Composition {
    fn from(step: MechanismStep) -> Self {
        Self { steps: vec![step] }
    }
}

impl From<Vec<MechanismStep>> for Composition {
    fn from(steps: Vec<MechanismStep>) -> Self {
        steps.into_iter().collect()
    }
}

impl From<Composition> for Vec<MechanismStep> {
    fn from(composition: Composition) -> Self {
        composition.steps
    }
}
