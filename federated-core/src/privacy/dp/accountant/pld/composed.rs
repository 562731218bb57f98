//! The losses of all rounds together: a product of Fourier transforms.
//!
//! What matters is a tail of the distribution that may be as small as delta, and an FFT is off by a part of the largest value.
//! So the losses are tilted first: each chance is multiplied by `exp(tilt loss)`, which moves the bulk to where the answer
//! is, and divided by it afterwards. The errors are then a small part of delta, whatever delta is.
//!
//! `slack` bounds these errors, as the sum of all tilted chances that may be missing: what lies outside of the window; the
//! rounding of the transforms, taken as eight times the standard deviation of independent roundings, times the number of
//! rounds; and that of the chances themselves, which are differences over an interval. It is added to every delta.

use rustfft::{FftPlanner, num_complex::Complex};

use super::{
    cumulants::{Cumulants, Kind, OUTSIDE},
    masses::HALF_UNIT,
};

/// What is allowed for rounding in what follows the transforms, as a part of an epsilon or a delta.
const ROUNDING: f64 = 1e-11;
/// How many standard deviations of independent roundings are allowed for.
const DEVIATIONS: f64 = 8.0;
/// The logarithm of what a product of transforms is nothing below.
const LN_NOTHING: f64 = -200.0;

/// The tilted chances of the losses of all rounds together, on the grid.
pub(super) struct Composed {
    /// The multiple of the interval that follows the last chance's.
    end: f64,
    tilted: Vec<f64>,
    interval: f64,
    tilt: f64,
    cumulant: f64,
    /// What the sum of any of the tilted chances may be too small by.
    slack: f64,
    /// The chance of a loss that is taken for certain.
    beyond: f64,
}

/// What the losses above a point of the grid make of delta at this point, in units of `exp(cumulant - tilt loss)`.
struct Above {
    point: f64,
    /// The logarithm of the unit.
    scale: f64,
    /// All chances above.
    chance: f64,
    /// The same, each times by how much its loss is more than the point's: `1 - exp(point - loss)`.
    excess: f64,
}

/// An epsilon, and how much of delta is not losses but slack.
pub(super) struct Bound {
    pub(super) epsilon: f64,
    pub(super) slack: f64,
}

impl Composed {
    /// Convolves on a window of `points`, from the loss `low` on.
    pub(super) fn new(cumulants: &Cumulants, tilt: f64, low: f64, points: f64) -> Self {
        let interval = cumulants.interval;
        let first = (low / interval).floor();
        let size = length(points).next_power_of_two();
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(size);
        let mut product = vec![Complex::new(1.0, 0.0); size];
        let mut slack = 2.0 * OUTSIDE.exp();
        let mut offset = first;
        for kind in &cumulants.kinds {
            let rounds = f64::from(kind.rounds);
            let mut transform = folded(kind, tilt, interval, size);
            let norm = norm(transform.iter().map(|chance| chance.re));
            forward.process(&mut transform);
            for (factor, value) in product.iter_mut().zip(&transform) {
                *factor *= power(*value, kind.rounds);
            }
            offset -= rounds * kind.masses.first;
            slack += DEVIATIONS * kind.masses.rounding * norm * rounds;
        }
        planner.plan_fft_inverse(size).process(&mut product);
        let size = float(size);
        // The window begins at `first`; the product at the sum of the firsts, around the circle.
        let shift = length(offset.rem_euclid(size));
        let mut tilted: Vec<f64> = product.iter().map(|value| (value.re / size).max(0.0)).collect();
        let shift = shift % tilted.len().max(1);
        tilted.rotate_left(shift);
        let rounds: f64 = cumulants.kinds.iter().map(|kind| f64::from(kind.rounds)).sum();
        let transforms = HALF_UNIT * (size.log2() * size).sqrt() * norm(tilted.iter().copied());
        slack += DEVIATIONS * transforms * (rounds + 1.0);
        let beyond = cumulants.kinds.iter().map(|kind| f64::from(kind.rounds) * kind.masses.beyond).sum();
        let cumulant = cumulants.total(tilt);
        Self { end: first + size, tilted, interval, tilt, cumulant, slack, beyond }
    }

    /// The points of the grid from the highest down, with what is above each.
    fn points(&self) -> impl Iterator<Item = Above> + '_ {
        let up = (-self.tilt * self.interval).exp();
        let one = (-self.interval).exp();
        let spread = -(-self.interval).exp_m1();
        let mut above = (0.0, 0.0);
        let mut multiple = self.end;
        self.tilted.iter().rev().map(move |chance| {
            multiple -= 1.0;
            let found = above;
            // One point further down, what is above has this point's chance too and is an interval further away.
            let all = up * (found.0 + chance);
            above = (all, spread * all + one * up * found.1);
            let point = multiple * self.interval;
            Above { point, scale: self.cumulant - self.tilt * point, chance: found.0, excess: found.1 }
        })
    }

    /// The least epsilon whose delta is at most `delta`; nothing if too much is taken for certain.
    pub(super) fn epsilon(&self, delta: f64) -> Option<Bound> {
        let delta = delta * (1.0 - ROUNDING) - self.beyond;
        if delta <= 0.0 {
            return None;
        }
        // Above the window only the slack is left, and it falls with the loss.
        let mut least =
            ((self.cumulant + (self.slack / delta).ln()) / self.tilt).max(self.end * self.interval);
        for above in self.points() {
            let allowed = delta * (-above.scale).exp();
            if above.excess + self.slack > allowed {
                // Between two points delta is a straight line over exp(epsilon).
                let factor = (above.chance + self.slack - allowed) / (above.chance - above.excess);
                least = if factor > 1.0 { least.min(above.point + factor.ln()) } else { least };
                break;
            }
            least = least.min(above.point);
        }
        let epsilon = least.max(0.0) * (1.0 + ROUNDING);
        let slack = (self.cumulant - self.tilt * epsilon).exp() * self.slack / delta;
        Some(Bound { epsilon, slack })
    }

    /// The least delta for `epsilon`, at most 1.
    pub(super) fn delta(&self, epsilon: f64) -> f64 {
        let at = |above: Above| {
            let within = (epsilon - above.point).max(0.0).exp() * (above.chance - above.excess);
            let found = (above.chance - within).max(0.0) + self.slack;
            (above.scale.exp() * found + self.beyond) * (1.0 + ROUNDING)
        };
        self.points().find(|above| above.point <= epsilon).map_or(1.0, |above| at(above).min(1.0))
    }
}

/// The tilted chances of one kind of round, wrapped around a circle of `size` points.
fn folded(kind: &Kind, tilt: f64, interval: f64, size: usize) -> Vec<Complex<f64>> {
    let cumulant = kind.cumulant(tilt, interval);
    let mut circle = vec![Complex::new(0.0, 0.0); size];
    for (place, ln) in kind.tilted(tilt, interval).enumerate() {
        if let Some(slot) = circle.get_mut(place % size) {
            slot.re += (ln - cumulant).exp();
        }
    }
    circle
}

fn norm(chances: impl Iterator<Item = f64>) -> f64 {
    chances.map(|chance| chance * chance).sum::<f64>().sqrt()
}

/// `value` to the power of `rounds`; 0 where that is too small to matter and slow to compute.
fn power(value: Complex<f64>, rounds: u32) -> Complex<f64> {
    if 0.5 * f64::from(rounds) * value.norm_sqr().ln() < LN_NOTHING {
        return Complex::new(0.0, 0.0);
    }
    value.powu(rounds)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to MOST_POINTS")]
fn length(points: f64) -> usize {
    points as usize
}

#[expect(clippy::cast_precision_loss, reason = "at most MOST_POINTS")]
fn float(points: usize) -> f64 {
    points as f64
}
