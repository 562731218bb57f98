use std::{fmt, num::NonZeroU64};

use super::SamplerError;

/// A positive number that is written down exactly: the variance of noise.
///
/// Decisions that are exact need a parameter that is: an `f64` times another is none, this is.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::Variance;
///
/// assert_eq!(Variance::new(9, 4)?.to_f64(), 2.25);
/// assert_eq!(Variance::of_sigma(1.5)?, Variance::new(9, 4)?);
/// # Ok::<(), federated_core::privacy::dp::SamplerError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variance {
    numerator: NonZeroU64,
    denominator: NonZeroU64,
}

impl Variance {
    /// The largest variance: 2^56. Noise that is finer than 2^-28 of its standard deviation serves no purpose.
    pub const MAX: u64 = 1 << 56;

    /// `numerator / denominator`.
    ///
    /// # Errors
    /// [`SamplerError::Variance`] when one of them is zero, or the variance is above [`Variance::MAX`].
    pub fn new(numerator: u64, denominator: u64) -> Result<Self, SamplerError> {
        let refused = SamplerError::Variance { found: numerator as f64 / denominator as f64 };
        let (Some(numerator), Some(denominator)) = (NonZeroU64::new(numerator), NonZeroU64::new(denominator))
        else {
            return Err(refused);
        };
        let large = u128::from(numerator.get()) > u128::from(denominator.get()) * u128::from(Self::MAX);
        if large { Err(refused) } else { Ok(Self { numerator, denominator }.reduced()) }
    }

    /// The variance of a standard deviation, rounded up by at most 2^-51 of itself: never less noise than asked for.
    ///
    /// # Errors
    /// [`SamplerError::Variance`] when sigma is not a number from 2^-20 to 2^28.
    pub fn of_sigma(sigma: f64) -> Result<Self, SamplerError> {
        if sigma.is_nan() || sigma < 1.0 / 1_048_576.0 {
            return Err(SamplerError::Variance { found: sigma * sigma });
        }
        let square = sigma * sigma;
        // A product of few bits is exact, and stays itself.
        let exact = sigma.mul_add(sigma, -square) <= 0.0;
        Self::at_least(if exact { square } else { square.next_up() })
    }

    /// This variance, exactly, or rounded up by at most 2^-23 of itself where it is below 2^-11.
    pub(crate) fn at_least(variance: f64) -> Result<Self, SamplerError> {
        const UNIT: f64 = 9_223_372_036_854_775_808.0;
        let refused = SamplerError::Variance { found: variance };
        if !(variance > 0.0 && variance <= 2.0_f64.powi(56)) {
            return Err(refused);
        }
        // The largest power of two up to 2^63 that leaves a numerator below 2^63.
        let mut denominator = UNIT;
        while variance * denominator >= UNIT {
            denominator /= 2.0;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, from 1 to 2^63")]
        Self::new((variance * denominator).ceil() as u64, denominator as u64)
    }

    fn reduced(self) -> Self {
        let (mut a, mut b) = (self.numerator.get(), self.denominator.get());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let by = |number: NonZeroU64| NonZeroU64::new(number.get() / a.max(1)).unwrap_or(number);
        Self { numerator: by(self.numerator), denominator: by(self.denominator) }
    }

    /// The number above the line.
    #[must_use]
    pub const fn numerator(self) -> u64 {
        self.numerator.get()
    }

    /// The number below the line.
    #[must_use]
    pub const fn denominator(self) -> u64 {
        self.denominator.get()
    }

    /// The nearest `f64` or one beside it.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.numerator.get() as f64 / self.denominator.get() as f64
    }

    /// The standard deviation.
    #[must_use]
    pub fn sigma(self) -> f64 {
        self.to_f64().sqrt()
    }
}

impl fmt::Display for Variance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}
