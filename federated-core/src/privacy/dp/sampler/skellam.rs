use std::fmt;

use super::{Keystream, SamplerError, Variance, poisson::Poisson, strips::Strips};

/// The symmetric Skellam distribution: the difference of two Poisson numbers of mean `variance / 2`, each drawn exactly.
///
/// It is closed under sums: the noise of several participants, added up, is Skellam noise of their variances' sum,
/// which is not quite so of discrete Gaussians.
///
/// # References
/// Agarwal, Kairouz, Liu, *The Skellam mechanism for differentially private federated learning*, NeurIPS 2021.
pub struct Skellam {
    poisson: Strips<Poisson>,
    variance: Variance,
}

impl Skellam {
    /// The distribution of this variance. Its tables take up to a millisecond to make.
    ///
    /// # Errors
    /// [`SamplerError::Variance`] when half of the variance is no [`Variance`].
    pub fn new(variance: Variance) -> Result<Self, SamplerError> {
        let (n, d) = (variance.numerator(), variance.denominator());
        let half = match d.checked_mul(2) {
            Some(d) => Variance::new(n, d)?,
            // One of the two is at most 2^63 - 1 when halved; the mean is rounded up, by less than 2^-60 of itself.
            None => Variance::new(n.div_ceil(2), d)?,
        };
        Ok(Self { poisson: Strips::new(Poisson::new(half)), variance })
    }

    /// The variance.
    #[must_use]
    pub const fn variance(&self) -> Variance {
        self.variance
    }

    /// One integer.
    pub fn sample(&self, keystream: &mut Keystream) -> i64 {
        self.poisson.draw(keystream) - self.poisson.draw(keystream)
    }

    /// Writes an independent integer in each place.
    pub fn fill(&self, places: &mut [i64], keystream: &mut Keystream) {
        places.iter_mut().for_each(|place| *place = self.sample(keystream));
    }

    /// Adds an independent integer to each value, modulo 2^64.
    pub fn add(&self, values: &mut [i64], keystream: &mut Keystream) {
        values.iter_mut().for_each(|value| *value = value.wrapping_add(self.sample(keystream)));
    }
}

impl fmt::Debug for Skellam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skellam").field("variance", &self.variance).finish_non_exhaustive()
    }
}
