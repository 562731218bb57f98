use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::PrivateError;

/// Where the seeds of batches and noise come from.
///
/// Never from a task: its seed is the coordinator's, from whom the examples are to be protected.
#[derive(Debug)]
pub struct Randomness(Source);

enum Source {
    System,
    Simulation(Box<ChaCha20Rng>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::System) { "System" } else { "Simulation" })
    }
}

impl Randomness {
    /// The system's generator.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A seed, for tests and experiments. There is NO PRIVACY, and [`PrivateWork`](super::PrivateWork) says so.
    #[must_use]
    pub fn simulation(seed: u64) -> Self {
        Self(Source::Simulation(Box::new(ChaCha20Rng::seed_from_u64(seed))))
    }

    /// Whether it is a seed that somebody may know.
    #[must_use]
    pub const fn is_simulated(&self) -> bool {
        matches!(self.0, Source::Simulation(_))
    }

    /// A new generator.
    pub(super) fn generator(&mut self) -> Result<ChaCha20Rng, PrivateError> {
        let mut seed = Zeroizing::new([0; 32]);
        match &mut self.0 {
            Source::System => SystemRandom::new().fill(&mut *seed).map_err(|_| PrivateError::Randomness)?,
            Source::Simulation(generator) => generator.fill_bytes(&mut *seed),
        }
        Ok(ChaCha20Rng::from_seed(*seed))
    }
}
