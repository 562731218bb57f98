//! DP-FTRL: noise that partly cancels from round to round, so that what is learned over many rounds carries less of it.
//!
//! The sums of updates over all rounds so far matter, as the model is one. With independent noise their error grows
//! with the square root of the rounds. Here the noise of a round is `C^-1 Z`: `C` has as many bands as there are
//! rounds between two participations of the same unit, and no unit's two participations fall into one band. It needs
//! no secret sampling: cohorts are taken in turn.
//!
//! # References
//! Denisov et al., NeurIPS 2022 (adaptive streams); Choquette-Choo et al., *(Amplified) banded matrix factorization*,
//! NeurIPS 2023; Kalinin, Lampert, *Banded square root matrix factorization*, NeurIPS 2024 (the coefficients).

use std::{collections::VecDeque, num::NonZeroU32};

use super::{ClipNorm, GridNoise, Keystream, NoiseMultiplier, SamplerError};

#[cfg(test)]
mod tests;

/// Values that are noised at a time.
const BLOCK: usize = 1_024;

/// The banded square root of the matrix of prefix sums: `c_0 = 1`, `c_k = c_{k-1} (2k - 1) / (2k)`, for `k` below the
/// bands.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::BandedSquareRoot;
/// use std::num::NonZeroU32;
///
/// // 100 rounds, each unit in one of 20: five times. Independent noise has an error of 15.9.
/// let bands = NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN);
/// let matrix = BandedSquareRoot::new(bands);
/// assert!((matrix.prefix_error(100) * matrix.sensitivity(matrix.participations(100)) - 5.8).abs() < 0.05);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BandedSquareRoot {
    coefficients: Vec<f64>,
}

impl BandedSquareRoot {
    /// A matrix of so many bands; one band is independent noise.
    #[must_use]
    pub fn new(bands: NonZeroU32) -> Self {
        let next = |last: &mut f64, k: u32| {
            *last *= if k == 0 { 1.0 } else { f64::from(2 * k - 1) / f64::from(2 * k) };
            Some(*last)
        };
        Self { coefficients: (0..bands.get()).scan(1.0, next).collect() }
    }

    /// How many rounds at least lie from one participation of a unit to its next: that many bands there are.
    #[must_use]
    pub fn separation(&self) -> usize {
        self.coefficients.len()
    }

    /// How often a unit takes part in so many rounds at most, when cohorts are taken in turn.
    #[must_use]
    pub fn participations(&self, rounds: u32) -> u32 {
        rounds.div_ceil(u32::try_from(self.separation()).unwrap_or(u32::MAX))
    }

    /// How long what one unit changes of `C X` is, against the clip norm: `sqrt(participations sum c_k^2)`, as no two
    /// of its participations fall into the same band.
    #[must_use]
    pub fn sensitivity(&self, participations: u32) -> f64 {
        (f64::from(participations) * self.column()).sqrt() * (1.0 + 1e-14)
    }

    fn column(&self) -> f64 {
        self.coefficients.iter().map(|c| c * c).sum::<f64>() * (1.0 + self.separation() as f64 * f64::EPSILON)
    }

    /// The root of the mean square error of the prefix sums over so many rounds, for noise of standard deviation 1 in
    /// `Z`.
    #[must_use]
    pub fn prefix_error(&self, rounds: u32) -> f64 {
        // Row t of the prefix sums of C^-1 is, backwards, the prefix sums of its first column.
        let (mut inverse, mut prefix, mut row, mut total) = (VecDeque::new(), 0.0, 0.0, 0.0);
        for round in 0..rounds {
            let back: f64 =
                self.coefficients.iter().skip(1).zip(&inverse).map(|(c, earlier)| c * earlier).sum();
            let next = if round == 0 { 1.0 } else { -back };
            inverse.push_front(next);
            inverse.truncate(self.separation());
            prefix += next;
            row += prefix * prefix;
            total += row;
        }
        (total / f64::from(rounds.max(1))).sqrt()
    }
}

/// The noise of one run, round after round; it keeps `bands - 1` earlier vectors, of 8 bytes a value.
///
/// # Privacy
/// The whole run, of up to so many participations of each unit, is one Gaussian mechanism of the noise multiplier
/// given here, on condition that a unit's participations lie as many rounds apart as there are bands: what composes
/// cohorts has to see to that. Account for it once, and not per round.
///
/// All is counted in steps of a grid, as [`GridNoise`] does: with `n_t = z_t - R(n_{t-1}, ...)`, where `z_t` is
/// discrete Gaussian and `R` rounds `c_1 n_{t-1} + c_2 n_{t-2} + ...` to a step. Given what was released, changing a
/// unit's vector moves the noise that explains it by a whole number of steps, which is within one step of `c_k` times
/// what the vector changed, in the rounds of the band and in no other. The noise is by that much larger.
#[derive(Debug)]
pub struct CorrelatedNoise {
    matrix: BandedSquareRoot,
    grid: GridNoise,
    /// Noise of the rounds before in steps, the last first.
    earlier: VecDeque<Vec<i64>>,
    dimension: usize,
}

impl CorrelatedNoise {
    /// Noise for a run of vectors of `dimension` values, in which each unit's contributions, each clipped to `norm`,
    /// are at most `participations`.
    ///
    /// # Errors
    /// [`SamplerError::Variance`] when the noise has no place among the numbers.
    pub fn new(
        matrix: BandedSquareRoot,
        multiplier: NoiseMultiplier,
        norm: ClipNorm,
        participations: NonZeroU32,
        dimension: usize,
    ) -> Result<Self, SamplerError> {
        let often = f64::from(participations.get()).sqrt();
        let column = matrix.column().sqrt();
        // Rounding moves the vector itself by half a step on either side, which the bands pass on, and each round
        // after it by up to a step.
        let rounding = often * (column + 1.001 * (matrix.separation() as f64).sqrt());
        let grid =
            GridNoise::with_reach(multiplier, norm.get() * often * column, rounding, dimension as u64)?;
        Ok(Self { matrix, grid, earlier: VecDeque::new(), dimension })
    }

    /// The standard deviation of `Z`, which is that of the noise in the first round.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        self.grid.sigma()
    }

    /// The step of the grid: a power of two.
    #[must_use]
    pub const fn granularity(&self) -> f64 {
        self.grid.granularity()
    }

    /// Adds the next round's noise to the sum of that round's clipped contributions.
    ///
    /// # Errors
    /// [`SamplerError::Value`] when a value is no finite number of at most 2^60 steps, and [`SamplerError::Length`]
    /// when there are more or fewer values than in the rounds before; nothing is changed, and the round has used no
    /// noise.
    pub fn add(&mut self, values: &mut [f32], keystream: &mut Keystream) -> Result<(), SamplerError> {
        if values.len() != self.dimension {
            return Err(SamplerError::Length { expected: self.dimension, found: values.len() });
        }
        self.grid.check(values.iter().copied().map(f64::from))?;
        let noise = self.next(keystream);
        for (value, steps) in values.iter_mut().zip(&noise) {
            *value = self.grid.shifted(f64::from(*value), *steps);
        }
        if self.matrix.separation() > 1 {
            self.earlier.push_front(noise);
        }
        Ok(())
    }

    /// The next vector of noise, in the memory of the oldest one.
    fn next(&mut self, keystream: &mut Keystream) -> Vec<i64> {
        let is_full = self.earlier.len() + 1 >= self.matrix.separation();
        // As long as there are fewer, the oldest is zero.
        let oldest = if is_full { self.earlier.pop_back() } else { None };
        let mut next = oldest.unwrap_or_else(|| vec![0; self.dimension]);
        let coefficient = |place: usize| self.matrix.coefficients.get(place).copied().unwrap_or(0.0);
        for (number, places) in next.chunks_mut(BLOCK).enumerate() {
            let mut sums = [0.0; BLOCK];
            for (back, earlier) in (1..).zip(&self.earlier) {
                let steps = earlier.chunks(BLOCK).nth(number).unwrap_or_default();
                add_scaled(&mut sums, coefficient(back), steps);
            }
            add_scaled(&mut sums, coefficient(self.earlier.len() + 1), places);
            for (place, sum) in places.iter_mut().zip(sums) {
                #[expect(clippy::cast_possible_truncation, reason = "whole, and of the size of noise")]
                let back = sum.round_ties_even() as i64;
                *place = self.grid.noise().sample(keystream) - back;
            }
        }
        next
    }
}

fn add_scaled(sums: &mut [f64; BLOCK], coefficient: f64, steps: &[i64]) {
    sums.iter_mut().zip(steps).for_each(|(sum, step)| *sum += coefficient * *step as f64);
}
