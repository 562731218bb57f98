//! Adaptive clipping: the clip norm follows a quantile of the participants' norms, which are learned only through noise.

use super::{ClipNorm, GridNoise, Keystream, NoiseMultiplier, SamplerError};
use crate::fault::Fault;

#[cfg(test)]
mod tests;

/// Why there is no adaptive clipping, or no step of it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdaptiveError {
    /// Not a quantile.
    #[error("expected a quantile between 0 and 1, such as 0.5, found {found}")]
    Quantile {
        /// The number.
        found: f64,
    },
    /// Not a learning rate.
    #[error("expected a learning rate above 0 and at most 10, such as 0.2, found {found}")]
    LearningRate {
        /// The number.
        found: f64,
    },
    /// Not the noise of a count.
    #[error("expected noise on the count of a finite standard deviation above 0, found {found}")]
    BitNoise {
        /// The number.
        found: f64,
    },
    /// The count of those within the norm takes the whole guarantee.
    #[error(
        "a noise multiplier of {multiplier} leaves nothing for the update when the count has noise of {bit_noise}: \
         expected more than \
         {least} on the count; {works} works, and makes the update's noise 15 % larger"
    )]
    NothingLeft {
        /// The noise multiplier of both together.
        multiplier: f64,
        /// The noise on the count.
        bit_noise: f64,
        /// What it must be above.
        least: f64,
        /// One that works.
        works: f64,
    },
    /// Nobody is counted.
    #[error("expected a cohort of at least 1 to divide by, found 0")]
    EmptyCohort,
    /// The noise cannot be made.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
}

impl AdaptiveError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Sampler(error) => error.fault(),
            _ => Fault::Caller,
        }
    }
}

/// How the clip norm follows the participants' norms.
///
/// Beside its clipped update each participant gives one bit: whether its update was within the norm. The bits' sum,
/// noised, tells what fraction was, and the norm goes up or down geometrically until that fraction is the quantile.
///
/// # Privacy
/// A bit is sent as -1/2 or 1/2, so one participant changes the sum by at most 1/2, and the noise
/// [`bit_noise`](Self::bit_noise) on it is a Gaussian mechanism of multiplier `2 s_b`. Together with the update,
/// noised with [`update_noise`](Self::update_noise), that is one Gaussian mechanism of the multiplier that was asked
/// for: account for that one, once a round.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::{AdaptiveClipping, ClipNorm, Keystream, NoiseMultiplier};
/// use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
///
/// let clipping = AdaptiveClipping::for_cohort(NoiseMultiplier::new(1.0)?, 100)?;
/// assert!((clipping.update_noise().get() - 1.0050).abs() < 1e-4);
///
/// let norm = ClipNorm::new(0.1)?;
/// let bits = (0..100).map(|n| clipping.contribution(n < 10)).sum(); // 10 of 100 were within
/// let fraction = clipping.noisy_fraction(bits, 100, &mut Keystream::new(ChaCha20Rng::from_seed([7; 32])))?;
/// assert!(clipping.next(norm, fraction) > norm);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
/// Andrew, Thakkar, McMahan, Ramaswamy, *Differentially private learning with adaptive clipping*, NeurIPS 2021:
/// algorithm 1, theorem 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaptiveClipping {
    quantile: f64,
    learning_rate: f64,
    bit_noise: f64,
    update_noise: NoiseMultiplier,
}

impl AdaptiveClipping {
    /// The quantile of the norms that is followed (gamma).
    pub const QUANTILE: f64 = 0.5;
    /// How fast it is followed (eta).
    pub const LEARNING_RATE: f64 = 0.2;

    /// Adaptive clipping of one noise multiplier for update and bit together, and noise of standard deviation
    /// `bit_noise` on the sum of the bits.
    ///
    /// # Errors
    /// [`AdaptiveError`] for a number out of range; [`AdaptiveError::NothingLeft`], which names what works, when the
    /// multiplier is not below `2 bit_noise`.
    pub fn new(
        multiplier: NoiseMultiplier,
        bit_noise: f64,
        quantile: f64,
        learning_rate: f64,
    ) -> Result<Self, AdaptiveError> {
        if !(quantile > 0.0 && quantile < 1.0) {
            return Err(AdaptiveError::Quantile { found: quantile });
        }
        if !(learning_rate > 0.0 && learning_rate <= 10.0) {
            return Err(AdaptiveError::LearningRate { found: learning_rate });
        }
        if !(bit_noise > 0.0 && bit_noise.is_finite()) {
            return Err(AdaptiveError::BitNoise { found: bit_noise });
        }
        let multiplier = multiplier.get();
        let nothing =
            AdaptiveError::NothingLeft { multiplier, bit_noise, least: multiplier / 2.0, works: multiplier };
        // z / sqrt(1 - (z / 2 s_b)^2), a little up.
        let share = multiplier / (2.0 * bit_noise);
        let left = (1.0 - share) * (1.0 + share) - f64::EPSILON;
        if left <= 0.0 {
            return Err(nothing);
        }
        let update_noise = multiplier / left.sqrt() * (1.0 + 4.0 * f64::EPSILON);
        let update_noise = NoiseMultiplier::new(update_noise).map_err(|_| nothing)?;
        Ok(Self { quantile, learning_rate, bit_noise, update_noise })
    }

    /// The usual choice for a cohort: the median, a rate of 0.2, and noise of a twentieth of the cohort on the count.
    ///
    /// # Errors
    /// As [`AdaptiveClipping::new`]: cohorts of up to ten times the multiplier are too small for it.
    pub fn for_cohort(multiplier: NoiseMultiplier, cohort: u32) -> Result<Self, AdaptiveError> {
        Self::new(multiplier, f64::from(cohort) / 20.0, Self::QUANTILE, Self::LEARNING_RATE)
    }

    /// What the update is noised with (`z_delta`), against the clip norm: more than the multiplier of both together.
    #[must_use]
    pub const fn update_noise(&self) -> NoiseMultiplier {
        self.update_noise
    }

    /// The standard deviation of the noise on the sum of the bits (`s_b`).
    #[must_use]
    pub const fn bit_noise(&self) -> f64 {
        self.bit_noise
    }

    /// What a participant adds to the sum of the bits.
    #[must_use]
    pub const fn contribution(&self, was_within: bool) -> f64 {
        if was_within { 0.5 } else { -0.5 }
    }

    /// What a contribution is multiplied with to travel as one more coordinate of the update, under the update's noise.
    ///
    /// For the distributed mechanisms: the vector with this coordinate is at most [`joint_norm`](Self::joint_norm)
    /// long, and the sum divided by this factor is the sum of the bits with noise `s_b`.
    #[must_use]
    pub fn coordinate(&self, norm: ClipNorm) -> f64 {
        self.update_noise.get() * norm.get() / self.bit_noise
    }

    /// The most that an update and its coordinate measure together.
    #[must_use]
    pub fn joint_norm(&self, norm: ClipNorm) -> f64 {
        norm.get().hypot(0.5 * self.coordinate(norm)) * (1.0 + 4.0 * f64::EPSILON)
    }

    /// The fraction of the cohort that was within the norm, with noise; it may fall outside 0 and 1.
    ///
    /// `bits` is the sum of [`contribution`](Self::contribution)s, and `cohort` the public number that the update's
    /// sum is divided by too.
    ///
    /// # Errors
    /// [`AdaptiveError::EmptyCohort`]; [`AdaptiveError::Sampler`] when `bits` is no sum of halves.
    pub fn noisy_fraction(
        &self,
        bits: f64,
        cohort: u32,
        keystream: &mut Keystream,
    ) -> Result<f64, AdaptiveError> {
        // One participant changes the sum by a half: a mechanism of multiplier 2 s_b.
        let half = ClipNorm::new(0.5).map_err(|_| AdaptiveError::EmptyCohort)?;
        let multiplier = NoiseMultiplier::new(2.0 * self.bit_noise);
        let multiplier = multiplier.map_err(|_| AdaptiveError::BitNoise { found: self.bit_noise })?;
        let mut sum = [bits];
        GridNoise::new(multiplier, half, 1)?.add_f64(&mut sum, keystream)?;
        self.fraction(sum[0], cohort)
    }

    /// The fraction from a sum of contributions that carries its noise already, as from a distributed mechanism.
    ///
    /// # Errors
    /// [`AdaptiveError::EmptyCohort`].
    pub fn fraction(&self, noisy_bits: f64, cohort: u32) -> Result<f64, AdaptiveError> {
        if cohort == 0 {
            return Err(AdaptiveError::EmptyCohort);
        }
        Ok(noisy_bits / f64::from(cohort) + 0.5)
    }

    /// The next round's clip norm: `norm * exp(-eta (fraction - gamma))`.
    ///
    /// It depends on what has noise, and on nothing else. A fraction is taken between 0 and 1, so that noise alone
    /// moves the norm by no more than a whole cohort can; it stays within 1e-12 and 1e12.
    #[must_use]
    pub fn next(&self, norm: ClipNorm, fraction: f64) -> ClipNorm {
        let fraction = if fraction.is_nan() { self.quantile } else { fraction.clamp(0.0, 1.0) };
        let next = norm.get() * (-self.learning_rate * (fraction - self.quantile)).exp();
        ClipNorm::new(next.clamp(1e-12, 1e12)).unwrap_or(norm)
    }
}
