//! The accountant by Rényi divergences: coarser than the others, and for any mechanism whose divergences are known.
//!
//! A mechanism is a curve: for each order the Rényi divergence between what it releases with one unit and without. Curves
//! add up over rounds. An epsilon for a delta follows from each order; the least of them counts.
//!
//! # References
//! Mironov 2017 (Rényi differential privacy); Mironov, Talwar and Zhang 2019 (sampled Gaussian); Canonne, Kamath and Steinke
//! 2020, Proposition 12 (to epsilon and delta).

mod subsampled;
#[cfg(test)]
mod tests;

use super::{AccountantError, Composition};
use crate::privacy::dp::{Delta, Epsilon, NoiseMultiplier, SamplingRate};

/// What sums and logarithms may have lost, as a part of the value; added to each divergence and to each epsilon.
const ROUNDING: f64 = 1e-12;

/// For each order the Rényi divergence of a mechanism, or of several together.
///
/// This is how mechanisms other than the sampled Gaussian are counted, too: [`RdpCurve::new`] takes any function from order
/// to divergence, [`RdpCurve::times`] and [`RdpCurve::compose`] add up, [`RdpCurve::epsilon`] is the bill.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::{Delta, NoiseMultiplier, RdpCurve, SamplingRate};
///
/// let gaussian = RdpCurve::sampled_gaussian(NoiseMultiplier::new(5.0)?, SamplingRate::FULL).times(10);
/// let laplace = RdpCurve::new(&RdpCurve::DEFAULT_ORDERS, |_order| 0.01)?;
/// let spent = gaussian.compose(&laplace)?.epsilon(Delta::new(1e-6)?);
/// assert_eq!(spent.order, 8.0);
/// assert!(3.1 < spent.epsilon && spent.epsilon < 3.2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RdpCurve {
    points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    order: f64,
    divergence: f64,
}

/// What Rényi divergences say was spent.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RdpEpsilon {
    /// The epsilon: 0 or more; infinite where no order has a bound.
    pub epsilon: f64,
    /// The order it follows from.
    pub order: f64,
}

impl RdpCurve {
    /// The orders that are tried unless others are named.
    pub const DEFAULT_ORDERS: [f64; 21] = [
        1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 24.0, 32.0, 48.0, 64.0,
        96.0, 128.0, 256.0,
    ];

    /// The curve of a mechanism, from a function that gives the divergence (0 or more; infinite: no bound) at an order.
    ///
    /// # Errors
    /// [`AccountantError::Order`] unless the orders are finite, above 1 and rising, and there is one;
    /// [`AccountantError::Divergence`] where the function gives something negative, or NaN.
    pub fn new(orders: &[f64], mut divergence: impl FnMut(f64) -> f64) -> Result<Self, AccountantError> {
        let mut points = Vec::with_capacity(orders.len());
        let mut last = 1.0;
        for &order in orders {
            if !(order.is_finite() && order > last) {
                return Err(AccountantError::Order { found: order });
            }
            last = order;
            let found = divergence(order);
            if found.is_nan() || found < 0.0 {
                return Err(AccountantError::Divergence { order, found });
            }
            points.push(Point { order, divergence: found });
        }
        if points.is_empty() {
            return Err(AccountantError::Order { found: f64::NAN });
        }
        Ok(Self { points })
    }

    /// The curve of one round of Gaussian noise on a sum over units that are sampled by themselves, at the default orders.
    #[must_use]
    pub fn sampled_gaussian(noise: NoiseMultiplier, rate: SamplingRate) -> Self {
        let divergence = |order| subsampled::divergence(order, noise, rate) * (1.0 + ROUNDING);
        Self {
            points: Self::DEFAULT_ORDERS.map(|order| Point { order, divergence: divergence(order) }).to_vec(),
        }
    }

    /// The curve of a composition, at the default orders.
    #[must_use]
    pub fn of(composition: &Composition) -> Self {
        let mut total = Self::default();
        for step in composition.steps() {
            let one = Self::sampled_gaussian(step.noise_multiplier, step.sampling_rate);
            for (sum, point) in total.points.iter_mut().zip(one.points) {
                sum.divergence += f64::from(step.rounds.get()) * point.divergence;
            }
        }
        total
    }

    /// The curve of so many rounds of this.
    #[must_use]
    pub fn times(mut self, rounds: u32) -> Self {
        for point in &mut self.points {
            // Nothing of what has no bound is nothing.
            point.divergence = if rounds == 0 { 0.0 } else { point.divergence * f64::from(rounds) };
        }
        self
    }

    /// The curve of this and `other` together.
    ///
    /// # Errors
    /// [`AccountantError::OrdersDiffer`] unless both are over the same orders.
    pub fn compose(&self, other: &Self) -> Result<Self, AccountantError> {
        if !self.orders().eq(other.orders()) {
            return Err(AccountantError::OrdersDiffer { left: self.points.len(), right: other.points.len() });
        }
        let sums = self.points.iter().zip(&other.points);
        let sum = |(a, b): (&Point, &Point)| Point { divergence: a.divergence + b.divergence, ..*a };
        Ok(Self { points: sums.map(sum).collect() })
    }

    /// The orders, rising.
    pub fn orders(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().map(|point| point.order)
    }

    /// The divergences, in the order of [`RdpCurve::orders`].
    pub fn divergences(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().map(|point| point.divergence)
    }

    /// The least epsilon that follows for `delta`, and from which order:
    /// `RDP(a) + ln(1 - 1/a) - ln(delta a)/(a - 1)`, or 0 if that is below.
    #[must_use]
    pub fn epsilon(&self, delta: Delta) -> RdpEpsilon {
        let of = |point: &Point| {
            let Point { order, divergence } = *point;
            // A divergence of nothing at any order: both outcomes are the same.
            let extra = (-1.0 / order).ln_1p() - (delta.get() * order).ln() / (order - 1.0);
            if divergence <= 0.0 { 0.0 } else { (divergence + extra).max(0.0) * (1.0 + ROUNDING) }
        };
        let first = RdpEpsilon { epsilon: f64::INFINITY, order: f64::INFINITY };
        self.points.iter().fold(first, |least, point| {
            let epsilon = of(point);
            if epsilon < least.epsilon { RdpEpsilon { epsilon, order: point.order } } else { least }
        })
    }

    /// The least delta that follows for `epsilon`, from 0 to 1.
    #[must_use]
    pub fn delta(&self, epsilon: Epsilon) -> f64 {
        let of = |point: &Point| {
            let Point { order, divergence } = *point;
            let exponent = (order - 1.0) * (divergence - epsilon.get() + (-1.0 / order).ln_1p()) - order.ln();
            if divergence <= 0.0 { 0.0 } else { (exponent + ROUNDING * order).exp().max(f64::MIN_POSITIVE) }
        };
        self.points.iter().map(of).fold(1.0, f64::min)
    }
}

impl Default for RdpCurve {
    /// Nothing released, at the default orders.
    fn default() -> Self {
        Self { points: Self::DEFAULT_ORDERS.map(|order| Point { order, divergence: 0.0 }).to_vec() }
    }
}
