use std::num::NonZeroU32;

use anyhow::Result;
use federated_client::trainer::private::{DpSgd, Randomness};
use federated_core::{
    compression::Encoding,
    ids::{RoundNumber, TaskId},
    model::ModelParameters,
    privacy::dp::{Accountant, ClipNorm, SamplingRate, Target, least_noise},
    strategy::{BatchSize, LocalWork},
    task::TrainTask,
    update::ExampleCount,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use ring::rand::{SecureRandom, SystemRandom};

/// What is claimed, and what the audit does about it. All of it is fixed before a coin is tossed.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// How many canaries.
    pub(crate) canaries: u32,
    /// How many of them are guessed to be in, and how many to be out.
    pub(crate) guesses_each: u32,
    /// What the training claims.
    pub(crate) claim: Target,
    /// Steps of training.
    pub(crate) steps: NonZeroU32,
    /// The chance of each example to be in a step.
    pub(crate) sampling_rate: SamplingRate,
    /// What each example's gradient is clipped to.
    pub(crate) clip: ClipNorm,
    /// Step size.
    pub(crate) learning_rate: f32,
    /// What everything random follows from; the system when `None`.
    pub(crate) seed: Option<u64>,
}

impl Recipe {
    /// Who counts.
    pub(crate) fn accountant(&self) -> Accountant {
        Accountant::closest_at(self.sampling_rate)
    }

    /// The numbers of the training: the least noise that keeps the claim, whatever the examples are.
    pub(crate) fn numbers(&self, patients: usize) -> Result<DpSgd> {
        let expected = u64::try_from(patients)? + u64::from(self.canaries / 2);
        Ok(DpSgd {
            noise_multiplier: least_noise(self.accountant(), self.claim, self.sampling_rate, self.steps)?,
            clip: self.clip,
            sampling_rate: self.sampling_rate,
            steps: self.steps,
            public_examples: ExampleCount::new(expected)?,
        })
    }

    /// The training as a coordinator would ask for it.
    pub(crate) fn task(&self, model: &ModelParameters) -> Result<TrainTask> {
        let learning_rate = self.learning_rate;
        Ok(TrainTask {
            id: TaskId { job: "audit".parse()?, round: RoundNumber::FIRST, attempt: 1 },
            rounds: 1,
            layout: model.layout().clone(),
            model: model.digest(),
            work: LocalWork { epochs: NonZeroU32::MIN, batch: BatchSize::All, learning_rate },
            seed: 0,
            cohort_size: 1,
            encoding: Encoding::PLAIN,
            settings: Default::default(),
            secure: None,
            privacy: None,
        })
    }

    /// Batches and noise.
    pub(crate) fn randomness(&self) -> Randomness {
        self.seed.map_or_else(Randomness::system, Randomness::simulation)
    }

    /// A generator for the coins, and for tests: each purpose has its own.
    pub(crate) fn generator(&self, purpose: u8) -> Result<ChaCha20Rng> {
        let mut seed = [0; 32];
        match self.seed {
            None => SystemRandom::new().fill(&mut seed).map_err(|_| anyhow::anyhow!("no randomness"))?,
            Some(number) => {
                let (start, rest) = seed.split_at_mut(8);
                start.copy_from_slice(&number.to_le_bytes());
                rest.fill(purpose);
            }
        }
        Ok(ChaCha20Rng::from_seed(seed))
    }
}
