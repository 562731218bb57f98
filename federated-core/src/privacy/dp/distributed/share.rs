use super::{DistributedError, error::positive};
use crate::privacy::dp::Variance;

/// How much noise each participant adds, so that liars and dropouts cannot take the guarantee away.
///
/// The noise that is needed in all is divided among those who are sure to add some: `ceil((1 - gamma) least_survivors)`.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::distributed::NoiseShare;
///
/// // 16 hospitals, of which 12 must stay, and a tenth of these may add nothing: 11 carry it.
/// let share = NoiseShare::new(550.0, 12, 0.1)?;
/// assert_eq!((share.contributors(), share.variance().to_f64()), (11, 50.0));
/// # Ok::<(), federated_core::privacy::dp::distributed::DistributedError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseShare {
    contributors: u32,
    variance: Variance,
}

impl NoiseShare {
    /// The share in noise of variance `total`, in steps squared.
    ///
    /// # Errors
    /// [`DistributedError`] when nobody is sure to add noise, or `total` is no variance.
    pub fn new(total: f64, least_survivors: u32, liars: f64) -> Result<Self, DistributedError> {
        if least_survivors == 0 || !(0.0..1.0).contains(&liars) {
            return Err(DistributedError::Contributors { survivors: least_survivors, liars });
        }
        // A product that is whole but for its rounding is not rounded up to one contributor more.
        let honest = (f64::from(least_survivors) * (1.0 - liars) * (1.0 - 4.0 * f64::EPSILON)).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 1 to the survivors"
        )]
        let contributors = (honest as u32).clamp(1, least_survivors);
        let variance = positive("a variance", total)? / f64::from(contributors);
        // Up by a rounding, unless the quotient is exact.
        let exact = variance * f64::from(contributors) >= total;
        let variance = Variance::at_least(if exact { variance } else { variance.next_up() })?;
        Ok(Self { contributors, variance })
    }

    /// How many are sure to add noise.
    #[must_use]
    pub const fn contributors(self) -> u32 {
        self.contributors
    }

    /// The variance of what one participant adds, in steps squared (`s_l^2`).
    #[must_use]
    pub const fn variance(self) -> Variance {
        self.variance
    }
}
