use federated_core::privacy::dp::{ClipNorm, GridNoise, Keystream, NoiseMultiplier};
use rand_chacha::ChaCha20Rng;

use crate::dataset::BoxError;

/// Where the noise of a step comes from.
pub trait NoiseSource: Send {
    /// Adds Gaussian noise with a standard deviation of `multiplier` times `clip`, or more, to each value.
    ///
    /// # Errors
    /// Whatever keeps it from doing so; the values are not used then.
    fn add(&mut self, sum: &mut [f64], multiplier: NoiseMultiplier, clip: ClipNorm) -> Result<(), BoxError>;
}

impl<F: FnMut(&mut [f64], f64) + Send> NoiseSource for F {
    /// The function is given the standard deviation.
    fn add(&mut self, sum: &mut [f64], multiplier: NoiseMultiplier, clip: ClipNorm) -> Result<(), BoxError> {
        self(sum, multiplier.get() * clip.get());
        Ok(())
    }
}

/// Noise on a grid, without floating-point gaps: see [`GridNoise`].
#[derive(Debug)]
pub struct ExactNoise {
    keystream: Keystream,
    /// The noise of the last step, and what it is for: steps are mostly alike.
    last: Option<(NoiseMultiplier, ClipNorm, usize, GridNoise)>,
}

impl ExactNoise {
    /// Noise from this generator, which must be seeded by the system.
    #[must_use]
    pub fn new(generator: ChaCha20Rng) -> Self {
        Self { keystream: Keystream::new(generator), last: None }
    }
}

impl NoiseSource for ExactNoise {
    fn add(&mut self, sum: &mut [f64], multiplier: NoiseMultiplier, clip: ClipNorm) -> Result<(), BoxError> {
        let (_, _, _, noise) = match self.last.take() {
            Some(last) if (last.0, last.1, last.2) == (multiplier, clip, sum.len()) => self.last.insert(last),
            _ => {
                let noise = GridNoise::new(multiplier, clip, sum.len() as u64)?;
                self.last.insert((multiplier, clip, sum.len(), noise))
            }
        };
        noise.add_f64(sum, &mut self.keystream)?;
        Ok(())
    }
}
