use super::{DistributedError, NoiseShare, RoundedNorms};
use crate::privacy::dp::{AccountantError, RdpCurve};

/// A share narrower than this many steps is refused: the sum of such shares is far from a discrete Gaussian, and its
/// guarantee falls apart.
const LEAST_SIGMA: f64 = 2.0;
/// What the roundings of a bound are covered with.
const UP: f64 = 1.0 + 1e-12;

/// What the sum of several discrete Gaussians gives.
///
/// It is not quite a discrete Gaussian; [`tau`](Self::tau) bounds by how much.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::distributed::{DistributedGaussian, NoiseShare, RoundedNorms};
///
/// let share = NoiseShare::new(900.0, 100, 0.0)?; // 3 steps each
/// let mechanism = DistributedGaussian::new(share, RoundedNorms::new(50.0, 1024, 0.6065)?)?;
/// assert!(mechanism.rdp(8.0) < 23.6);
/// # Ok::<(), federated_core::privacy::dp::distributed::DistributedError>(())
/// ```
///
/// # References
/// Kairouz, Liu, Steinke, ICML 2021: section 3 (sums of discrete Gaussians).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DistributedGaussian {
    contributors: u32,
    /// `s_l^2`.
    variance: f64,
    norms: RoundedNorms,
    tau: f64,
}

impl DistributedGaussian {
    /// The sum of the shares, over vectors of these norms.
    ///
    /// # Errors
    /// [`DistributedError::CoarseShare`] when one share is narrower than 2 steps.
    pub fn new(share: NoiseShare, norms: RoundedNorms) -> Result<Self, DistributedError> {
        let found = share.variance().sigma();
        if found < LEAST_SIGMA {
            return Err(DistributedError::CoarseShare { least: LEAST_SIGMA, found });
        }
        Ok(Self::unchecked(share, norms))
    }

    pub(super) fn unchecked(share: NoiseShare, norms: RoundedNorms) -> Self {
        // Below, and so is the guarantee.
        let variance = share.variance().to_f64().next_down();
        Self { contributors: share.contributors(), variance, norms, tau: tau(variance, share.contributors()) }
    }

    /// How far the sum is from a discrete Gaussian: `10 sum_{k=1}^{n-1} exp(-2 pi^2 s_l^2 k / (k + 1))`.
    #[must_use]
    pub const fn tau(&self) -> f64 {
        self.tau
    }

    /// The noise multiplier of a Gaussian that hides no more: by the last of the three bounds, the divergence is at most `order / 2`
    /// over its square, at every order.
    #[must_use]
    pub fn multiplier(&self) -> f64 {
        let (d, two) = (self.norms.dimension(), self.norms.two());
        let total = f64::from(self.contributors) * self.variance;
        1.0 / ((two / total.sqrt() + d.sqrt() * self.tau) * UP)
    }

    /// The Rényi divergence of an order above 1 that one unit's taking part makes at most, rounded up.
    #[must_use]
    pub fn rdp(&self, order: f64) -> f64 {
        let (d, one, two) = (self.norms.dimension(), self.norms.one(), self.norms.two());
        let total = f64::from(self.contributors) * self.variance;
        let (ratio, tau) = (two * two / total, self.tau);
        let bounds = [
            order / 2.0 * ratio + tau * d,
            order / 2.0 * (ratio + 2.0 * one * tau / total.sqrt() + tau * tau * d),
            order / 2.0 * (two / total.sqrt() + d.sqrt() * tau).powi(2),
        ];
        bounds.into_iter().fold(f64::INFINITY, f64::min) * UP
    }

    /// The divergences at the [default orders](RdpCurve::DEFAULT_ORDERS), to compose with those of other rounds.
    ///
    /// # Errors
    /// [`AccountantError`], which these orders and divergences never cause.
    pub fn curve(&self) -> Result<RdpCurve, AccountantError> {
        RdpCurve::new(&RdpCurve::DEFAULT_ORDERS, |order| self.rdp(order))
    }
}

fn tau(variance: f64, contributors: u32) -> f64 {
    /// Terms that are summed one by one; each of the rest is below the last of these.
    const TERMS: u32 = 10_000;
    let exponent = -2.0 * std::f64::consts::PI * std::f64::consts::PI * variance;
    let term = |k: u32| (exponent * f64::from(k) / (f64::from(k) + 1.0)).exp();
    let last = contributors.saturating_sub(1);
    let sum: f64 = (1..=last.min(TERMS)).map(term).sum();
    10.0 * (sum + f64::from(last.saturating_sub(TERMS)) * term(TERMS)) * UP
}
