use super::{DiscreteGaussian, Keystream, SamplerError, Variance};
use crate::privacy::dp::{ClipNorm, NoiseMultiplier};

/// The standard deviation of the noise, in steps of the grid, is from this to twice this: 2^26.
const FINENESS: f64 = 67_108_864.0;
/// Values of at most so many steps are noised: their sum with noise is far from the ends of an `i64`.
const MOST_STEPS: f64 = 1_152_921_504_606_846_976.0;

/// Gaussian noise for vectors of reals: on a grid, so that no floating-point number carries noise.
///
/// A value is rounded to the nearest multiple of [`granularity`](Self::granularity), a power of two, and a multiple
/// of it is added that is drawn from the [discrete Gaussian](DiscreteGaussian). What is done with the sum after that,
/// such as rounding it to an `f32`, depends on nothing but the sum, and so gives nothing away.
///
/// # Privacy
/// Rounding moves each of `dimension` values by at most half a step, so two vectors that were `sensitivity` apart
/// come to be at most `sensitivity + granularity * sqrt(dimension)` apart. The noise is that much larger: `sigma` is
/// the noise multiplier times this length. The step is 2^-26 of the noise or finer, so for a million values it is by
/// 1 part in 60,000, and for a billion by 1 in 2,000.
///
/// Then the Rényi divergences are those of the Gaussian mechanism with this noise multiplier (Canonne et al., section
/// 2), at each order. What is proven for the continuous Gaussian only, such as amplification by sampling, holds after
/// [`distance`](Self::distance) has been allowed for.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::{ClipNorm, GridNoise, Keystream, NoiseMultiplier};
/// use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
///
/// let mut sum = vec![0.25_f32, -1.5, 0.0];
/// let noise = GridNoise::new(NoiseMultiplier::new(1.1)?, ClipNorm::new(2.0)?, 3)?;
/// noise.add(&mut sum, &mut Keystream::new(ChaCha20Rng::from_seed([7; 32])))?; // a seed from the system, in earnest
/// assert!((noise.sigma() - 2.2).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
/// Mironov, *On significance of the least significant bits for differential privacy*, CCS 2012; Canonne, Kamath,
/// Steinke, NeurIPS 2020.
#[derive(Debug)]
pub struct GridNoise {
    noise: DiscreteGaussian,
    granularity: f64,
    dimension: u64,
}

impl GridNoise {
    /// Noise for vectors of `dimension` values in all, of which one unit changes the Euclidean norm by at most
    /// `sensitivity`.
    ///
    /// # Errors
    /// [`SamplerError::Variance`] when the noise has no place among the normal numbers of an `f64`.
    pub fn new(
        multiplier: NoiseMultiplier,
        sensitivity: ClipNorm,
        dimension: u64,
    ) -> Result<Self, SamplerError> {
        Self::with_reach(multiplier, sensitivity.get(), 1.0, dimension)
    }

    /// Noise for what one unit changes by at most `reach + rounding * granularity * sqrt(dimension)`.
    pub(in crate::privacy::dp) fn with_reach(
        multiplier: NoiseMultiplier,
        reach: f64,
        rounding: f64,
        dimension: u64,
    ) -> Result<Self, SamplerError> {
        let ideal = multiplier.get() * reach;
        if !(ideal >= f64::MIN_POSITIVE * FINENESS && ideal.is_finite()) {
            return Err(SamplerError::Variance { found: ideal * ideal });
        }
        let granularity = power_of_two_below(ideal) / FINENESS;
        // The sums, products and the square root are each off by at most 2^-53 of themselves.
        let moved = rounding * (dimension as f64).sqrt() * granularity;
        let sigma = multiplier.get() * (reach + moved) * (1.0 + 8.0 * f64::EPSILON);
        let variance = Variance::of_sigma(sigma / granularity)?;
        Ok(Self { noise: DiscreteGaussian::new(variance), granularity, dimension })
    }

    /// The standard deviation of the noise, a little above the noise multiplier times the sensitivity.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        self.noise.variance().sigma() * self.granularity
    }

    /// The step of the grid: a power of two.
    #[must_use]
    pub const fn granularity(&self) -> f64 {
        self.granularity
    }

    /// An upper bound of the statistical distance of a noised vector from one that is noised with the continuous
    /// Gaussian, in steps, and rounded: below `sqrt(dimension) 2^-55`.
    ///
    /// Per value the two distributions' ratio is `1 + (x^2 - 1) / (24 s^2)` and higher terms, for `s` steps of
    /// standard deviation and `x` of them off. So the divergence is at most `1 / (24 s^2)^2` per value, and the
    /// distance of whole vectors at most the square root of half their sum. Add `(1 + exp(epsilon))` times it to
    /// delta where a guarantee is taken from the continuous Gaussian.
    #[must_use]
    pub fn distance(&self) -> f64 {
        (self.dimension as f64).sqrt() / (12.0 * self.noise.variance().to_f64())
    }

    /// Rounds values to the grid and adds noise to them.
    ///
    /// # Errors
    /// [`SamplerError::Value`] when a value is NaN, infinite, or beyond 2^60 steps; nothing is changed.
    pub fn add(&self, values: &mut [f32], keystream: &mut Keystream) -> Result<(), SamplerError> {
        self.check(values.iter().copied().map(f64::from))?;
        for value in values {
            *value = self.shifted(f64::from(*value), self.noise.sample(keystream));
        }
        Ok(())
    }

    /// Rounds values to the grid and adds noise to them, as [`add`](Self::add), for sums kept in 64 bits.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_f64(&self, values: &mut [f64], keystream: &mut Keystream) -> Result<(), SamplerError> {
        self.check(values.iter().copied())?;
        values.iter_mut().for_each(|value| *value = self.noised(*value, keystream));
        Ok(())
    }

    /// The noise, in steps.
    pub(in crate::privacy::dp) const fn noise(&self) -> &DiscreteGaussian {
        &self.noise
    }

    /// That all values can be noised.
    pub(in crate::privacy::dp) fn check(
        &self,
        values: impl Iterator<Item = f64>,
    ) -> Result<(), SamplerError> {
        let most = MOST_STEPS * self.granularity;
        for (place, found) in (0..).zip(values) {
            if found.is_nan() || found.abs() > most {
                return Err(SamplerError::Value { most, found, place });
            }
        }
        Ok(())
    }

    /// The value, rounded to the grid, and so many steps on.
    #[expect(clippy::cast_possible_truncation, reason = "to the nearest: the sum has all its noise")]
    pub(in crate::privacy::dp) fn shifted(&self, value: f64, steps: i64) -> f32 {
        self.on_grid(value, steps) as f32
    }

    #[inline(always)]
    fn noised(&self, value: f64, keystream: &mut Keystream) -> f64 {
        self.on_grid(value, self.noise.sample(keystream))
    }

    /// What is done with the sum after it was made of integers gives nothing away.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "checked before to be at most 2^60, and whole here")]
    fn on_grid(&self, value: f64, steps: i64) -> f64 {
        let whole = (value / self.granularity).round_ties_even() as i64;
        whole.saturating_add(steps) as f64 * self.granularity
    }
}

/// The largest power of two that is not above a normal number.
fn power_of_two_below(number: f64) -> f64 {
    f64::from_bits(number.to_bits() & !((1 << 52) - 1))
}
