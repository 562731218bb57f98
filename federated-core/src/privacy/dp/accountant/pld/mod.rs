//! The accountant by privacy loss distributions: close to exact, with sampling, for any mix of Gaussian rounds.
//!
//! The privacy loss of an outcome is the logarithm of how much likelier it is with one unit than without. Losses of rounds
//! add up, so that the distribution of the sum is a convolution, here by FFT on a grid. Everything is rounded towards more
//! loss: see [`masses`] for the grid and the tails, [`composed`] for the convolution and what it may be off by.
//!
//! Taking a unit away and adding one are counted by themselves; the larger epsilon counts.
//!
//! # References
//! Koskela, Jälkö and Honkela 2020 (FFT accountant); Doroshenko, Ghazi, Kamath, Kumar and Manurangsi 2022 ("connect the
//! dots"); Gopi, Lee and Wutschitz 2021 (tails by moments).

mod composed;
mod cumulants;
mod masses;
#[cfg(test)]
mod tests;

use composed::Composed;
use cumulants::Cumulants;
use masses::{Direction, Masses, Sampled};

use super::{Accountant, AccountantError, Composition};
use crate::privacy::dp::{Delta, Epsilon};

/// The grid's interval, unless a composition needs a finer one or has too wide a range for it.
const INTERVAL: f64 = 1e-4;
/// Grid points to the standard deviation of a typical round's loss, at the least: where the interval is as wide as the
/// loss, rounding to it would spend more than the rounds do.
const POINTS_PER_DEVIATION: f64 = 16.0;
/// Most grid points; a composition that would need more has a wider interval.
const MOST_POINTS: f64 = 4_194_304.0;
/// With less noise nothing is private, and the losses have no place on a grid.
const LEAST_NOISE: f64 = 1e-4;
/// More noise is counted as this.
const MOST_NOISE: f64 = 1e9;
/// How much smaller than delta the chance of the outcomes is that are set aside as certain losses.
const SET_ASIDE: f64 = 1e-9;
/// The delta that [`SET_ASIDE`] is a part of when delta is what is asked for.
const UNKNOWN_DELTA: f64 = 1e-30;

/// The least epsilon that holds with `delta`; 0 where none is needed. Rounded up.
///
/// # Errors
/// [`AccountantError::Unbounded`] if there is next to no noise.
pub fn epsilon(composition: &Composition, delta: Delta) -> Result<f64, AccountantError> {
    let unbounded = AccountantError::Unbounded { accountant: Accountant::Pld, delta };
    if composition.steps().is_empty() {
        return Ok(0.0);
    }
    let mut most: f64 = 0.0;
    for direction in Direction::BOTH {
        let goal = |cumulant: f64, tilt: f64| (cumulant - delta.get().ln()) / tilt;
        let composed = compose(composition, direction, delta.get(), goal).ok_or_else(|| unbounded.clone())?;
        most = most.max(composed.epsilon(delta.get()).ok_or_else(|| unbounded.clone())?);
    }
    Ok(most)
}

/// The least delta that holds with `epsilon`, from 0 to 1. Rounded up.
#[must_use]
pub fn delta(composition: &Composition, epsilon: Epsilon) -> f64 {
    if composition.steps().is_empty() {
        return 0.0;
    }
    let goal = |cumulant: f64, tilt: f64| cumulant - tilt * epsilon.get();
    let of = |direction| {
        compose(composition, direction, UNKNOWN_DELTA, goal)
            .map_or(1.0, |composed| composed.delta(epsilon.get()))
    };
    Direction::BOTH.map(of).into_iter().fold(0.0, f64::max)
}

/// The losses of all rounds together, tilted to where `goal` (of the cumulant and the tilt) is least.
fn compose(
    composition: &Composition,
    direction: Direction,
    delta: f64,
    goal: impl Fn(f64, f64) -> f64,
) -> Option<Composed> {
    let steps: Vec<(Sampled, u32)> = composition
        .steps()
        .iter()
        .map(|step| {
            let noise = step.noise_multiplier.get();
            let sampled = Sampled { noise: noise.min(MOST_NOISE), rate: step.sampling_rate.get() };
            (noise >= LEAST_NOISE).then_some((sampled, step.rounds.get()))
        })
        .collect::<Option<_>>()?;
    let rounds: f64 = steps.iter().map(|(_, rounds)| f64::from(*rounds)).sum();
    // The chance of more than `reach` standard deviations is below exp(-reach^2 / 2).
    let reach = (2.0 * (rounds / (SET_ASIDE * delta)).ln()).sqrt();
    let mut interval = interval(&steps);
    let widest = steps.iter().map(|(step, _)| step.width(direction, reach)).fold(0.0, f64::max);
    while widest > interval * MOST_POINTS {
        interval *= 2.0;
    }
    loop {
        let masses =
            steps.iter().map(|(step, rounds)| (Masses::new(step, direction, interval, reach), *rounds));
        let cumulants = Cumulants::new(masses.collect(), interval);
        let tilt = cumulants.tilt(&goal);
        let (low, high) = cumulants.window(tilt);
        let points = (high - low) / interval + 2.0;
        if points <= MOST_POINTS {
            return Some(Composed::new(&cumulants, tilt, low, points));
        }
        while (high - low) / interval + 2.0 > MOST_POINTS {
            interval *= 2.0;
        }
    }
}

/// The grid's interval: [`INTERVAL`] divided by a power of two.
fn interval(steps: &[(Sampled, u32)]) -> f64 {
    let sum = |of: fn(f64) -> f64| -> f64 {
        steps.iter().map(|(step, rounds)| f64::from(*rounds) * of(step.deviation())).sum()
    };
    let typical = sum(|deviation| deviation * deviation) / sum(|deviation| deviation);
    let mut interval = INTERVAL;
    while interval * POINTS_PER_DEVIATION > typical {
        interval *= 0.5;
    }
    interval
}
