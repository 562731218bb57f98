//! The losses of one round, on a grid.
//!
//! Between two points of the grid the chance of a loss is moved onto the two points such that both the chance with the unit
//! and the chance without are kept. The curve of delta over exp(epsilon), which is convex, is then replaced by the straight
//! lines between its values at the grid: never below it ("connect the dots"), and off by the square of the interval only.
//! Losses below the grid are moved up onto its first point; losses above it are taken for certain: `beyond`.

use crate::privacy::dp::accountant::tail;

/// Half a unit in the last place of 1.
pub(super) const HALF_UNIT: f64 = f64::EPSILON / 2.0;

/// Which of the two neighbours the outcome is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// With the unit; compared with what is drawn without.
    Remove,
    /// Without the unit; compared with what is drawn with it.
    Add,
}

impl Direction {
    pub(super) const BOTH: [Self; 2] = [Self::Remove, Self::Add];
}

/// A round: Gaussian noise, on a sum of 1 with chance `rate` and of 0 otherwise; without the unit always of 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampled {
    pub(super) noise: f64,
    pub(super) rate: f64,
}

impl Sampled {
    /// The logarithm of how much likelier the outcome `x` is with the unit; rises with `x`.
    fn gain(&self, x: f64) -> f64 {
        let exponent = (x - 0.5) / (self.noise * self.noise);
        if exponent > 0.0 {
            exponent + (self.rate + (1.0 - self.rate) * (-exponent).exp()).ln()
        } else {
            (self.rate * exponent.exp_m1()).ln_1p()
        }
    }

    /// The outcome whose [`Sampled::gain`] is `gain`; minus infinity below every gain there is.
    fn outcome(&self, gain: f64) -> f64 {
        let exponent = if self.rate >= 1.0 {
            gain
        } else if gain > 0.0 {
            gain + (-(1.0 - self.rate) * (-gain).exp()).ln_1p() - self.rate.ln()
        } else {
            let ratio = gain.exp_m1() / self.rate;
            if ratio > -1.0 { ratio.ln_1p() } else { f64::NEG_INFINITY }
        };
        self.noise * self.noise * exponent + 0.5
    }

    /// The standard deviation of the gain, near enough to choose a grid by.
    pub(super) fn deviation(&self) -> f64 {
        let chi_squared = (self.noise * self.noise).recip().min(700.0).exp_m1();
        (self.rate * self.rate * chi_squared).ln_1p().sqrt()
    }

    /// The least and the largest loss that are looked at: those of outcomes within `reach` standard deviations.
    fn range(&self, direction: Direction, reach: f64) -> (f64, f64) {
        let reach = reach * self.noise;
        match direction {
            Direction::Remove => (self.gain(-reach), self.gain(1.0 + reach)),
            Direction::Add => (-self.gain(reach), -self.gain(-reach)),
        }
    }

    /// How far apart these are.
    pub(super) fn width(&self, direction: Direction, reach: f64) -> f64 {
        let (least, largest) = self.range(direction, reach);
        largest - least
    }
}

/// The chances of the losses of one round, on the multiples of an interval.
#[derive(Debug)]
pub(super) struct Masses {
    /// The multiple that the first chance belongs to.
    pub(super) first: f64,
    pub(super) chances: Vec<f64>,
    /// The chance of a loss above the grid.
    pub(super) beyond: f64,
    /// What a chance may be off by, as a part of itself: it is a difference of two that are larger by about this factor.
    pub(super) rounding: f64,
}

impl Masses {
    pub(super) fn new(step: &Sampled, direction: Direction, interval: f64, reach: f64) -> Self {
        let (least, largest) = step.range(direction, reach);
        let first = (least / interval).floor();
        let mut chances = Vec::new();
        let mut point = first;
        let mut edge = Edge::at(step, direction, point * interval);
        let (mut carried, _) = step.mixed(direction, edge.0.map(|tails| tails.below));
        let spread = -(-interval).exp_m1();
        while point * interval < largest {
            let next = Edge::at(step, direction, (point + 1.0) * interval);
            let (drawn, compared) = step.mixed(direction, edge.until(&next));
            let excess = drawn - (compared.ln() + point * interval).exp();
            let up = (excess / spread).clamp(0.0, drawn);
            chances.push(carried + (drawn - up));
            (carried, edge, point) = (up, next, point + 1.0);
        }
        chances.push(carried);
        let (beyond, _) = step.mixed(direction, edge.0.map(|tails| tails.above));
        let rounding = HALF_UNIT / (interval * step.noise.min(1.0));
        Self { first, chances, beyond, rounding }
    }
}

/// The normal distributions' chances of a smaller and of a larger loss than that of a point of the grid: for the sum of 0
/// and that of 1.
#[derive(Clone, Copy)]
struct Edge([Tails; 2]);

#[derive(Clone, Copy)]
struct Tails {
    below: f64,
    above: f64,
    /// Whether `above` is the smaller of both, and has all its digits.
    right: bool,
}

impl Edge {
    fn at(step: &Sampled, direction: Direction, loss: f64) -> Self {
        // Without the unit a larger outcome is a smaller loss: seen in a mirror both directions are alike.
        let (x, mirror) = match direction {
            Direction::Remove => (step.outcome(loss), 1.0),
            Direction::Add => (step.outcome(-loss), -1.0),
        };
        Self([0.0, 1.0].map(|sum| Tails::at(mirror * (x - sum) / step.noise)))
    }

    fn until(&self, next: &Self) -> [f64; 2] {
        let (Self([without, with]), Self([next_without, next_with])) = (self, next);
        [without.until(next_without), with.until(next_with)]
    }
}

impl Tails {
    fn at(x: f64) -> Self {
        let right = x > 0.0;
        let small = tail::upper(x.abs());
        let (below, above) = if right { (1.0 - small, small) } else { (small, 1.0 - small) };
        Self { below, above, right }
    }

    /// The chance of what is above this and not above `next`.
    fn until(&self, next: &Self) -> f64 {
        let found = match (self.right, next.right) {
            (true, _) => self.above - next.above,
            (_, false) => next.below - self.below,
            (false, true) => 1.0 - self.below - next.above,
        };
        found.max(0.0)
    }
}

impl Sampled {
    /// From chances for the sums of 0 and of 1: that of what is drawn from, and of what it is compared with.
    fn mixed(&self, direction: Direction, [without, with]: [f64; 2]) -> (f64, f64) {
        let mixed = (1.0 - self.rate) * without + self.rate * with;
        match direction {
            Direction::Remove => (mixed, without),
            Direction::Add => (without, mixed),
        }
    }
}
