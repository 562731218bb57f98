use super::{DistributedError, error::positive};
use crate::privacy::dp::Keystream;

/// Roundings that are tried before the vector is cut off towards zero instead, which is never too long.
const TRIES: u32 = 200;
/// 2^-53.
const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;

/// How long a vector of integers can be that was made of a clipped one.
///
/// # References
/// Kairouz, Liu, Steinke, ICML 2021: section 4 (conditional randomised rounding).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundedNorms {
    /// `c s`.
    clipped: f64,
    one: f64,
    two: f64,
    dimension: f64,
}

impl RoundedNorms {
    /// Of vectors of `dimension` values, clipped to `norm` steps, with a bias of rounding `beta`.
    ///
    /// `D2 = min(c s + sqrt d, sqrt(c^2 s^2 + d/4 + sqrt(2 ln(1/beta)) (c s + sqrt(d)/2)))`. A rounding is repeated
    /// with a probability of at most `beta`, and the smaller it is, the longer the vectors may be; 0 stands for no
    /// bound but the first, and no repetition.
    ///
    /// # Errors
    /// [`DistributedError`] when a number is out of range.
    pub fn new(norm: f64, dimension: u64, beta: f64) -> Result<Self, DistributedError> {
        let clipped = positive("a norm in steps", norm)?;
        if !(0.0..1.0).contains(&beta) {
            return Err(DistributedError::Beta { found: beta });
        }
        let dimension = dimension as f64;
        let always = clipped + dimension.sqrt();
        let likely = clipped * clipped + dimension / 4.0;
        let spread = (2.0 * (1.0 / beta).ln()).sqrt() * (clipped + dimension.sqrt() / 2.0);
        let two = always.min((likely + spread).sqrt()) * (1.0 + 1e-14);
        Ok(Self::of(clipped, dimension, two))
    }

    pub(super) fn of(clipped: f64, dimension: f64, two: f64) -> Self {
        // An integer is at most its square in magnitude.
        let one = (dimension.sqrt() * two).min(two * two) * (1.0 + 1e-14);
        Self { clipped, one, two, dimension }
    }

    /// The most that the magnitudes of the integers sum to (`D1`).
    #[must_use]
    pub const fn one(self) -> f64 {
        self.one
    }

    /// The largest Euclidean norm of the integers (`D2`).
    #[must_use]
    pub const fn two(self) -> f64 {
        self.two
    }

    /// How many integers (`d`).
    #[must_use]
    pub const fn dimension(self) -> f64 {
        self.dimension
    }
}

/// Randomised rounding, repeated until the integers are no longer than [`RoundedNorms`] say.
///
/// # Privacy
/// What counts is that the integers are never longer than said: that is checked on them, in integers, so no rounding
/// error of what was done to the vector before can break the guarantee.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounding {
    norms: RoundedNorms,
}

impl Rounding {
    /// Rounding within these norms.
    #[must_use]
    pub const fn new(norms: RoundedNorms) -> Self {
        Self { norms }
    }

    /// Writes each value times `scale`, rounded up or down by chance so that its expectation is kept, but for the
    /// condition on the whole.
    ///
    /// # Errors
    /// [`DistributedError::Length`] when there are more or fewer places than values, or than the norms are of;
    /// [`DistributedError::NotClipped`] when the values are longer than they were said to be, by more than what a
    /// rotation in `f32` can err.
    pub fn round(
        &self,
        values: &[f32],
        scale: f64,
        places: &mut [i64],
        keystream: &mut Keystream,
    ) -> Result<(), DistributedError> {
        if values.len() != places.len() || values.len() as f64 > self.norms.dimension {
            return Err(DistributedError::Length { expected: values.len(), found: places.len() });
        }
        let length = values.iter().map(|value| (f64::from(*value) * scale).powi(2)).sum::<f64>().sqrt();
        if length.is_nan() || length > self.norms.clipped * (1.0 + 1e-4) {
            return Err(DistributedError::NotClipped { expected: self.norms.clipped, found: length });
        }
        for _ in 0..TRIES {
            for (place, value) in places.iter_mut().zip(values) {
                *place = up_or_down(f64::from(*value) * scale, keystream);
            }
            if self.is_within(places) {
                return Ok(());
            }
        }
        // Towards zero it is shorter than it was; by the allowance above it may still be too long, and then it is shrunk.
        let shrink = (self.norms.clipped / length).min(1.0);
        for (place, value) in places.iter_mut().zip(values) {
            *place = whole((f64::from(*value) * scale * shrink).trunc());
        }
        if self.is_within(places) {
            Ok(())
        } else {
            Err(DistributedError::NotClipped { expected: self.norms.two, found: length })
        }
    }

    /// In integers: the square of `D2` rounded down.
    fn is_within(&self, places: &[i64]) -> bool {
        let squares = places.iter().map(|place| u128::from(place.unsigned_abs()).pow(2));
        let sum = squares.fold(0_u128, u128::saturating_add);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturating, and not negative"
        )]
        let most = (self.norms.two * self.norms.two * (1.0 - 4.0 * f64::EPSILON)).floor() as u128;
        sum <= most
    }
}

fn up_or_down(value: f64, keystream: &mut Keystream) -> i64 {
    let below = value.floor();
    let uniform = (keystream.next() >> 11) as f64 * UNIT;
    whole(if uniform < value - below { below + 1.0 } else { below })
}

#[expect(clippy::cast_possible_truncation, reason = "whole, and of a vector that is short")]
const fn whole(value: f64) -> i64 {
    value as i64
}
