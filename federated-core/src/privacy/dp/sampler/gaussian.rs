use std::fmt;

use num_bigint::BigUint;

use super::{
    Keystream, Variance,
    exponential::{EXP_ERROR, exp_neg},
    interval,
    strips::{Bounds, Shape, Strips},
};

/// The discrete Gaussian: an integer `y` with a probability proportional to `exp(-y^2 / (2 sigma^2))`, exactly.
///
/// As noise on integers it gives what the continuous Gaussian gives on reals: for two integers `d` apart the Rényi
/// divergence of order `a` is at most `a d^2 / (2 sigma^2)`. Its own variance is at most sigma^2, and equal to it
/// within a millionth from sigma = 1 on.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::{DiscreteGaussian, Keystream, Variance};
/// use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
///
/// let noise = DiscreteGaussian::new(Variance::of_sigma(10.0)?);
/// let mut keystream = Keystream::new(ChaCha20Rng::from_seed([7; 32])); // from the system, in earnest
/// let mut counts = [120, 80, 3];
/// noise.add(&mut counts, &mut keystream);
/// # Ok::<(), federated_core::privacy::dp::SamplerError>(())
/// ```
///
/// # References
/// Canonne, Kamath, Steinke, *The discrete Gaussian for differential privacy*, NeurIPS 2020: section 2
/// (divergences, moments); section 5 is the sampling that opendp does.
pub struct DiscreteGaussian {
    strips: Strips<Gaussian>,
    variance: Variance,
}

impl DiscreteGaussian {
    /// The distribution of this parameter sigma^2. Its tables take about 50 microseconds to make, and 30 KiB.
    #[must_use]
    pub fn new(variance: Variance) -> Self {
        Self { strips: Strips::new(Gaussian::new(variance)), variance }
    }

    /// The parameter sigma^2.
    #[must_use]
    pub const fn variance(&self) -> Variance {
        self.variance
    }

    /// One integer.
    pub fn sample(&self, keystream: &mut Keystream) -> i64 {
        self.strips.draw(keystream)
    }

    /// Writes an independent integer in each place.
    pub fn fill(&self, places: &mut [i64], keystream: &mut Keystream) {
        places.iter_mut().for_each(|place| *place = self.strips.draw(keystream));
    }

    /// Adds an independent integer to each value, modulo 2^64.
    pub fn add(&self, values: &mut [i64], keystream: &mut Keystream) {
        values.iter_mut().for_each(|value| *value = value.wrapping_add(self.strips.draw(keystream)));
    }
}

impl fmt::Debug for DiscreteGaussian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscreteGaussian").field("variance", &self.variance).finish_non_exhaustive()
    }
}

pub(super) struct Gaussian {
    /// `d / 2n` for sigma^2 = `n / d`, rounded down to 64 bits: at least 2^63, in units of 2^-`shift`.
    half_inverse: u64,
    shift: u64,
    numerator: BigUint,
    denominator: BigUint,
    sigma: f64,
}

impl Gaussian {
    pub(super) fn new(variance: Variance) -> Self {
        let numerator = BigUint::from(variance.denominator());
        let denominator = BigUint::from(variance.numerator()) * 2_u8;
        let mut shift = 63 + denominator.bits() - numerator.bits();
        if (&numerator << shift) / &denominator < BigUint::from(1_u64 << 63) {
            shift += 1;
        }
        let half_inverse = u64::try_from((&numerator << shift) / &denominator).unwrap_or(u64::MAX);
        Self { half_inverse, shift, numerator, denominator, sigma: variance.sigma() }
    }
}

impl Shape for Gaussian {
    fn mode(&self) -> i64 {
        0
    }

    fn spread(&self) -> f64 {
        self.sigma
    }

    fn bounds(&self, y: i64) -> Bounds {
        let magnitude = y.unsigned_abs();
        // Beyond 2^32 the exponent is at least 2^64 / 2^57.
        if magnitude >> 32 != 0 {
            return Bounds::TINY;
        }
        let product = u128::from(magnitude * magnitude) * u128::from(self.half_inverse);
        // exp(-64) is below 2^-92.
        if product >= (64 << self.shift.min(121)) {
            return Bounds::TINY;
        }
        let x = if self.shift >= 64 { product >> (self.shift - 64) } else { product << (64 - self.shift) };
        // The true exponent is at least x, and at most x + 2 (x / 2^64) + 1 units: `half_inverse` lacks at most a
        // unit in 2^63.
        let late = u64::try_from(2 * (x >> 64) + 4).unwrap_or(u64::MAX);
        let Bounds { low, high } = Bounds::around(exp_neg(x), EXP_ERROR);
        Bounds { low: low.saturating_sub(late.into()), high }
    }

    fn precise(&self, y: i64, bits: u64) -> (BigUint, BigUint) {
        let square = BigUint::from(y.unsigned_abs()).pow(2);
        interval::exp_neg(&(square * &self.numerator), &self.denominator, bits)
    }
}
