//! The cumulants of the losses: logarithms of the means of `exp(tilt loss)`, which add up over rounds and bound the tails.

use super::masses::{Direction, Masses, Sampled};

/// What is tried as a tilt, and as a step away from it: a power of four, from tens of thousands of units of loss to a
/// ten-millionth of one.
const POWERS: std::ops::RangeInclusive<i32> = -7..=12;
/// The logarithm of how small the chance is of losses outside of the window, under the tilt.
pub(super) const OUTSIDE: f64 = -36.0;

/// The losses of all kinds of rounds, and how many there are of each.
pub(super) struct Cumulants {
    pub(super) kinds: Vec<Kind>,
    pub(super) interval: f64,
}

pub(super) struct Kind {
    pub(super) masses: Masses,
    pub(super) rounds: u32,
    ln_chances: Vec<f64>,
}

impl Kind {
    /// Each loss with the logarithm of its chance, tilted.
    pub(super) fn tilted(&self, tilt: f64, interval: f64) -> impl Iterator<Item = f64> + '_ {
        let (first, step) = (tilt * self.masses.first * interval, tilt * interval);
        self.ln_chances.iter().zip(0_u32..).map(move |(ln, place)| ln + (first + step * f64::from(place)))
    }

    /// The cumulant of one round.
    pub(super) fn cumulant(&self, tilt: f64, interval: f64) -> f64 {
        let most = self.tilted(tilt, interval).fold(f64::NEG_INFINITY, f64::max);
        // What is left out is smaller than the rounding of what is summed.
        let large = self.tilted(tilt, interval).map(|ln| ln - most).filter(|ln| *ln > -60.0);
        most + large.map(f64::exp).sum::<f64>().ln()
    }
}

impl Cumulants {
    pub(super) fn new(kinds: &[(Sampled, u32)], direction: Direction, interval: f64, reach: f64) -> Self {
        let kind = |(step, rounds): &(Sampled, u32)| {
            let masses = Masses::new(step, direction, interval, reach);
            let ln_chances = masses.chances.iter().map(|chance| chance.ln()).collect();
            Kind { masses, rounds: *rounds, ln_chances }
        };
        Self { kinds: kinds.iter().map(kind).collect(), interval }
    }

    /// The cumulant of all rounds together.
    pub(super) fn total(&self, tilt: f64) -> f64 {
        self.kinds.iter().map(|kind| f64::from(kind.rounds) * kind.cumulant(tilt, self.interval)).sum()
    }

    /// The tilt for which `goal` of the cumulant and the tilt is least, or nearly so: any tilt gives a right answer, and
    /// this one the smallest errors.
    pub(super) fn tilt(&self, goal: impl Fn(f64, f64) -> f64) -> f64 {
        let least = |tilts: &mut dyn Iterator<Item = f64>| {
            let tried = tilts.map(|tilt| (goal(self.total(tilt), tilt), tilt));
            tried.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(1.0, |(_, tilt)| tilt)
        };
        let coarse = least(&mut POWERS.map(|power| 4.0_f64.powi(power)));
        least(&mut [0.5, 1.0, 2.0].into_iter().map(|factor| factor * coarse))
    }

    /// Between which losses the tilted sum of all rounds lies, but for a chance of `exp(`[`OUTSIDE`]`)` on either side.
    pub(super) fn window(&self, tilt: f64) -> (f64, f64) {
        let here = self.total(tilt);
        let bound = |away: f64| (self.total(tilt + away) - here - OUTSIDE) / away;
        let aways = || POWERS.map(|power| 4.0_f64.powi(power));
        let high = aways().map(bound).fold(f64::INFINITY, f64::min);
        let low = aways().map(|away| bound(-away)).fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    }
}
