use std::fmt;

use serde::{Deserialize, Serialize};

use super::ParameterError;

const MILLION: u32 = 1_000_000;

/// A fraction from 0 to 1 in whole millionths, so that it is written in one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Fraction(u32);

impl Fraction {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many millionths.
    ///
    /// # Errors
    /// [`ParameterError::Fraction`] for more than a million.
    pub fn from_millionths(millionths: u32) -> Result<Self, ParameterError> {
        if millionths > MILLION {
            return Err(ParameterError::Fraction { found: f64::from(millionths) / f64::from(MILLION) });
        }
        Ok(Self(millionths))
    }

    /// How many millionths it is.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// This fraction of `count`, rounded down.
    ///
    /// A fraction stands for everything that rounds to it, and the upper end counts: 0.333333 is a third, and a third
    /// of 3 is 1. So nobody is taken for honest because six places were not enough to say otherwise.
    #[must_use]
    pub fn of(self, count: u32) -> u32 {
        let half_millionths = 2 * u64::from(self.0) + 1;
        let found = half_millionths * u64::from(count) / (2 * u64::from(MILLION));
        u32::try_from(found).map_or(count, |found| found.min(count))
    }
}

impl TryFrom<f64> for Fraction {
    type Error = ParameterError;

    fn try_from(fraction: f64) -> Result<Self, ParameterError> {
        let millionths = (fraction * f64::from(MILLION)).round();
        let whole = (millionths / f64::from(MILLION) - fraction).abs() < 1e-12;
        if !(0.0..=1.0).contains(&fraction) || !whole {
            return Err(ParameterError::Fraction { found: fraction });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1,000,000, and whole"
        )]
        let millionths = millionths as u32;
        Ok(Self(millionths))
    }
}

impl TryFrom<u32> for Fraction {
    type Error = ParameterError;

    fn try_from(millionths: u32) -> Result<Self, ParameterError> {
        Self::from_millionths(millionths)
    }
}

impl From<Fraction> for u32 {
    fn from(fraction: Fraction) -> Self {
        fraction.0
    }
}

impl From<Fraction> for f64 {
    fn from(fraction: Fraction) -> Self {
        Self::from(fraction.0) / Self::from(MILLION)
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f64::from(*self).fmt(f)
    }
}
