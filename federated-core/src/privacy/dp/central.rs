//! Noise on a mean of clipped updates: DP-FedAvg, at whoever sees them.

use super::{ClipNorm, GridNoise, Keystream, NoiseMultiplier, SamplerError};

#[cfg(test)]
mod tests;

/// What roundings to `f32` can make a mean differ by, in clip norms: each of the factor, the mean and its share moves a value
/// by 2^-24 of itself at most, on both of two neighbouring sets of updates.
const ROUNDINGS: f64 = 1.0 / 2_097_152.0;
/// Updates are clipped this little shorter, for the same reason.
const SHORTER: f64 = 1.0 - 1.0 / 4_194_304.0;

/// Makes the mean of clipped updates one that hides whether a participant is in it.
///
/// The sum of updates, each no longer than the clip norm, is divided by a number that is public: how many were asked. So a
/// participant that is left out changes the result by `clip / asked` at most, and the noise on it has a standard deviation of
/// the noise multiplier times that.
///
/// # References
/// McMahan, Ramage, Talwar, Zhang, *Learning differentially private recurrent language models*, ICLR 2018, Algorithm 1 (the
/// estimator with a fixed denominator).
#[derive(Debug)]
pub struct CentralNoise {
    clip: ClipNorm,
    asked: u32,
    noise: GridNoise,
}

impl CentralNoise {
    /// Noise for a model of `elements` values when so many participants were asked, at least 1.
    ///
    /// # Errors
    /// [`SamplerError::Variance`] when the noise has no place among the normal numbers of an `f64`.
    pub fn new(
        multiplier: NoiseMultiplier,
        clip: ClipNorm,
        asked: u32,
        elements: u64,
    ) -> Result<Self, SamplerError> {
        let asked = asked.max(1);
        let reach = clip.get() / f64::from(asked) + clip.get() * ROUNDINGS;
        Ok(Self { clip, asked, noise: GridNoise::with_reach(multiplier, reach, 1.0, elements)? })
    }

    /// The standard deviation of the noise on each value of the mean.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        self.noise.sigma()
    }

    /// What an update of this squared norm is multiplied with, so that it is no longer than the clip norm: 1 when it is not.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "from 0 to 1, and rounded where updates are clipped shorter"
    )]
    pub fn factor(&self, squared_norm: f64) -> f32 {
        let most = self.clip.get() * SHORTER;
        let norm = squared_norm.sqrt();
        if norm <= most { 1.0 } else { (most / norm) as f32 }
    }

    /// Turns a stretch of the mean over `survivors` clipped updates into what may be released.
    ///
    /// Each stretch of a model needs a keystream of its own.
    ///
    /// # Errors
    /// [`SamplerError::Value`] when a value is too large for the noise's grid; nothing is changed by noise then.
    #[expect(clippy::cast_possible_truncation, reason = "the mean is one of f32")]
    pub fn apply(
        &self,
        mean: &mut [f32],
        survivors: u32,
        keystream: &mut Keystream,
    ) -> Result<(), SamplerError> {
        let share = f64::from(survivors) / f64::from(self.asked);
        mean.iter_mut().for_each(|value| *value = (f64::from(*value) * share) as f32);
        self.noise.add(mean, keystream)
    }
}
