use anyhow::{Context, Result};
use federated_client::dataset::TabularDataset;
use federated_core::{model::ModelParameters, privacy::dp::audit::Guesses};
use rand_chacha::{ChaCha20Rng, rand_core::RngCore};

use crate::audit::patients::Patients;

/// How long a canary's features are: the length of its gradient is about half of it, far above any clip norm in use.
const LENGTH: f32 = 20.0;

/// Examples that no patient resembles: each has a column for itself and nothing in the others.
///
/// So its clipped gradient goes into a direction of its own, and what the model has there is what was trained on it, with noise: the
/// auditor who sees the model can hardly do better with the clip norm that there is.
#[derive(Debug)]
pub(crate) struct Canaries(Vec<Canary>);

#[derive(Debug)]
struct Canary {
    /// Whether it is trained on.
    included: bool,
    /// Half of them say 1, so that they do not move what is common to all examples.
    label: u32,
}

impl Canaries {
    /// Tosses the coins of so many.
    pub(crate) fn toss(count: u32, coins: &mut ChaCha20Rng) -> Self {
        let canary = |number: u32| Canary { included: coins.next_u32() >> 31 == 1, label: number % 2 };
        Self((0..count).map(canary).collect())
    }

    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn included(&self) -> usize {
        self.0.iter().filter(|canary| canary.included).count()
    }

    /// The patients, and those canaries whose coin says so.
    pub(crate) fn among(&self, patients: &Patients) -> Result<TabularDataset> {
        let width = patients.columns + self.count();
        let mut values = Vec::with_capacity((patients.count() + self.count()) * width);
        let mut labels = Vec::new();
        for (columns, label) in patients.rows() {
            values.extend_from_slice(columns);
            values.resize(values.len() + self.count(), 0.0);
            labels.push(label);
        }
        for (number, canary) in self.0.iter().enumerate().filter(|(_, canary)| canary.included) {
            let own = patients.columns + number;
            values.extend((0..width).map(|column| if column == own { LENGTH } else { 0.0 }));
            labels.push(canary.label);
        }
        Ok(TabularDataset::new(width, values, labels)?)
    }

    /// Guesses so many to be in and so many to be out, from what a model says in the columns of the canaries.
    ///
    /// The columns' weights are the first tensor; training on a canary moves its weight to where its label is.
    pub(crate) fn guess(&self, trained: &ModelParameters, columns: usize, each: u32) -> Result<Guesses> {
        let weights = trained.values().get(columns..columns + self.count());
        let weights = weights.context("expected a weight for each canary")?;
        let towards = |label: u32| if label == 1 { 1.0 } else { -1.0 };
        let scored = self.0.iter().zip(weights);
        let scored: Vec<(f64, bool)> = scored
            .map(|(canary, weight)| (f64::from(*weight) * towards(canary.label), canary.included))
            .collect();
        Ok(Guesses::by_score(&scored, each)?)
    }
}
