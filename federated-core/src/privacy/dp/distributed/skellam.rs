use super::{NoiseShare, RoundedNorms};
use crate::privacy::dp::{AccountantError, RdpCurve};

/// What the roundings of a bound are covered with.
const UP: f64 = 1.0 + 1e-12;

/// What the sum of several participants' Skellam noise gives: it is Skellam noise of the sum of their variances.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::distributed::{DistributedSkellam, NoiseShare, RoundedNorms};
///
/// let share = NoiseShare::new(2_500.0, 10, 0.0)?;
/// let mechanism = DistributedSkellam::new(share, RoundedNorms::new(18.0, 1024, 0.0)?);
/// assert!(mechanism.rdp(8.0) > 4.0);
/// # Ok::<(), federated_core::privacy::dp::distributed::DistributedError>(())
/// ```
///
/// # References
/// Agarwal, Kairouz, Liu, NeurIPS 2021: section 3. Lengths and the variance `mu` are in steps here, so the paper's
/// scale `s` is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DistributedSkellam {
    /// `mu`.
    variance: f64,
    norms: RoundedNorms,
}

impl DistributedSkellam {
    /// The sum of the shares, over vectors of these norms.
    #[must_use]
    pub fn new(share: NoiseShare, norms: RoundedNorms) -> Self {
        let variance = f64::from(share.contributors()) * share.variance().to_f64().next_down();
        Self { variance, norms }
    }

    /// The Rényi divergence of an order above 1 that one unit's taking part makes at most, rounded up.
    ///
    /// Proven for whole orders: any other is rounded up to the next.
    #[must_use]
    pub fn rdp(&self, order: f64) -> f64 {
        let (order, one, two, mu) = (order.ceil(), self.norms.one(), self.norms.two(), self.variance);
        let fine = ((2.0 * order - 1.0) * two * two + 6.0 * one) / (4.0 * mu * mu);
        let coarse = 3.0 * one / (2.0 * mu);
        (order * two * two / (2.0 * mu) + fine.min(coarse)) * UP
    }

    /// The divergences at the [default orders](RdpCurve::DEFAULT_ORDERS), to compose with those of other rounds.
    ///
    /// # Errors
    /// [`AccountantError`], which these orders and divergences never cause.
    pub fn curve(&self) -> Result<RdpCurve, AccountantError> {
        RdpCurve::new(&RdpCurve::DEFAULT_ORDERS, |order| self.rdp(order))
    }
}
