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
use masses::{Direction, Sampled};

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
/// Slack that is too small a part of delta to be worth a better tilt.
const ENOUGH: f64 = 1e-6;
/// The delta that [`SET_ASIDE`] is a part of when delta is what is asked for.
const UNKNOWN_DELTA: f64 = 1e-30;

/// The least epsilon that holds with `delta`; 0 where none is needed. Rounded up.
///
/// # Errors
/// [`AccountantError::Unbounded`] if there is next to no noise.
pub fn epsilon(composition: &Composition, delta: Delta) -> Result<f64, AccountantError> {
    let unbounded = || AccountantError::Unbounded { accountant: Accountant::Pld, delta };
    let mut most: f64 = 0.0;
    for direction in Direction::BOTH {
        if let Some(rounds) = Rounds::new(composition, direction, delta.get()).ok_or_else(unbounded)? {
            most = most.max(rounds.epsilon(delta.get()).ok_or_else(unbounded)?);
        }
    }
    Ok(most)
}

/// The least delta that holds with `epsilon`, from 0 to 1. Rounded up.
#[must_use]
pub fn delta(composition: &Composition, epsilon: Epsilon) -> f64 {
    let of = |direction| match Rounds::new(composition, direction, UNKNOWN_DELTA) {
        None => 1.0,
        Some(None) => 0.0,
        Some(Some(rounds)) => rounds.delta(epsilon.get()),
    };
    Direction::BOTH.map(of).into_iter().fold(0.0, f64::max)
}

/// The losses of all kinds of rounds, before they are composed.
struct Rounds {
    kinds: Vec<(Sampled, u32)>,
    direction: Direction,
    /// How many standard deviations of the noise are looked at.
    reach: f64,
    cumulants: Cumulants,
}

impl Rounds {
    /// Nothing if there is too little noise; nothing inside of it if there are no rounds.
    fn new(composition: &Composition, direction: Direction, delta: f64) -> Option<Option<Self>> {
        let mut kinds = Vec::new();
        for step in composition.steps() {
            let noise = step.noise_multiplier.get().min(MOST_NOISE);
            if noise < LEAST_NOISE {
                return None;
            }
            kinds.push((Sampled { noise, rate: step.sampling_rate.get() }, step.rounds.get()));
        }
        if kinds.is_empty() {
            return Some(None);
        }
        // The chance of more than `reach` standard deviations is below exp(-reach^2 / 2).
        let rounds = composition.total(|_| 1.0);
        let reach = (2.0 * (rounds / (SET_ASIDE * delta)).ln()).sqrt();
        let widest = kinds.iter().map(|(step, _)| step.width(direction, reach)).fold(0.0, f64::max);
        let mut interval = interval(&kinds);
        while widest > interval * MOST_POINTS {
            interval *= 2.0;
        }
        let cumulants = Cumulants::new(&kinds, direction, interval, reach);
        Some(Some(Self { kinds, direction, reach, cumulants }))
    }

    fn epsilon(mut self, delta: f64) -> Option<f64> {
        // The best tilt for the bound that moments give. Where they say too much, so does the tilt: less is tried first,
        // and whether that was enough is seen by how much of delta is slack.
        let most = self.cumulants.tilt(|cumulant, tilt| (cumulant - delta.ln()) / tilt);
        let first = self.composed(0.25 * most).epsilon(delta)?;
        if first.slack <= ENOUGH {
            return Some(first.epsilon);
        }
        let tilt = self.cumulants.tilt(|cumulant, tilt| cumulant - tilt * first.epsilon).min(most);
        let second = self.composed(tilt).epsilon(delta)?;
        Some(first.epsilon.min(second.epsilon))
    }

    fn delta(mut self, epsilon: f64) -> f64 {
        let tilt = self.cumulants.tilt(|cumulant, tilt| cumulant - tilt * epsilon);
        self.composed(tilt).delta(epsilon)
    }

    /// All rounds together, under a tilt; on a wider grid if they have no place on this one.
    fn composed(&mut self, tilt: f64) -> Composed {
        loop {
            let interval = self.cumulants.interval;
            let (low, high) = self.cumulants.window(tilt);
            let points = (high - low) / interval + 2.0;
            if points <= MOST_POINTS {
                return Composed::new(&self.cumulants, tilt, low, points);
            }
            let wider = interval * (points / MOST_POINTS).log2().ceil().exp2();
            self.cumulants = Cumulants::new(&self.kinds, self.direction, wider, self.reach);
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
