//! Noise on totals: opendp's Gaussian mechanism over integers, whose noise is an exact discrete Gaussian.
//!
//! opendp draws from a ChaCha20 generator that the system seeds; nobody can seed it otherwise.

use federated_core::{fault::Fault, privacy::dp::NoiseMultiplier};
use opendp::{
    core::Measurement,
    domains::{AtomDomain, VectorDomain},
    error::Error,
    measurements::make_gaussian,
    measures::ZeroConcentratedDivergence,
    metrics::L2Distance,
};

/// Noise is this little more than it must be, so that opendp's bound, which is rounded up, is not above what is charged.
const MORE: f64 = 1.0 + 1.0 / 1_099_511_627_776.0;

/// Why there is no noise, and so no release.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum NoiseError {
    /// opendp refuses.
    #[error("opendp makes no Gaussian mechanism of this: {message}")]
    Mechanism {
        /// What it says.
        message: String,
    },
    /// What opendp vouches for is less than what is charged.
    #[error("expected a zero-concentrated divergence of at most {charged}, found {vouched}")]
    Charge {
        /// What is charged.
        charged: f64,
        /// What opendp vouches for.
        vouched: f64,
    },
}

impl NoiseError {
    /// Whose fault it is: the numbers were checked before.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "every error says so; this one is always logged as it is")
    )]
    pub(super) const fn fault(&self) -> Fault {
        Fault::Bug
    }
}

impl From<Error> for NoiseError {
    fn from(error: Error) -> Self {
        Self::Mechanism { message: error.message.unwrap_or_else(|| error.variant.to_string()) }
    }
}

type Totals = VectorDomain<AtomDomain<i64>>;
type Gaussian = Measurement<Totals, L2Distance<f64>, ZeroConcentratedDivergence, Vec<i64>>;

/// Totals with noise, when a record changes them by at most `sensitivity` in Euclidean norm.
pub(super) fn noised(
    totals: &[i64],
    sensitivity: u64,
    multiplier: NoiseMultiplier,
) -> Result<Vec<i64>, NoiseError> {
    // A measurement cannot be sent to another thread: it is made, used and dropped here.
    Ok(mechanism(sensitivity, multiplier)?.invoke(&totals.to_vec())?)
}

/// The mechanism whose zero-concentrated divergence is the `rho = 1 / (2 z^2)` of one round with the noise multiplier `z` in which
/// everyone takes part.
fn mechanism(sensitivity: u64, multiplier: NoiseMultiplier) -> Result<Gaussian, NoiseError> {
    let (reach, multiplier) = (sensitivity as f64, multiplier.get());
    let totals = Totals::new(AtomDomain::default());
    let gaussian: Gaussian = make_gaussian(totals, L2Distance::default(), multiplier * reach * MORE, None)?;
    let (charged, vouched) = (0.5 / (multiplier * multiplier), gaussian.map(&reach)?);
    if vouched <= charged && charged.is_finite() {
        Ok(gaussian)
    } else {
        Err(NoiseError::Charge { charged, vouched })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn multiplier(found: f64) -> NoiseMultiplier {
        NoiseMultiplier::new(found).unwrap()
    }

    #[test]
    fn what_opendp_vouches_for_is_what_a_round_is_charged() {
        for found in [0.0625, 0.3, 1.0, std::f64::consts::PI, 11.0, 1e6] {
            let reach = (1 << 30) + 1;
            let vouched = mechanism(reach, multiplier(found)).unwrap().map(&(reach as f64)).unwrap();
            let charged = 0.5 / (found * found);
            assert!(
                vouched <= charged && vouched > charged * (1.0 - 1e-11),
                "{found}: {vouched} of {charged}"
            );
        }
    }

    /// 4,000 numbers with a deviation of 3,000: their mean is within 285 of 0 and their deviation within 201 of it, but for one run
    /// in 500 million (six standard deviations of each).
    #[test]
    fn the_noise_is_as_wide_as_it_must_be() {
        let noise = noised(&vec![1_000_000; 4_000], 1_000, multiplier(3.0)).unwrap();
        let values: Vec<f64> = noise.iter().map(|value| (value - 1_000_000) as f64).collect();
        let mean = values.iter().sum::<f64>() / 4e3;
        let deviation = (values.iter().map(|value| value * value).sum::<f64>() / 4e3).sqrt();
        assert!(mean.abs() < 285.0, "{mean}");
        assert!((deviation - 3_000.0).abs() < 201.0, "{deviation}");
        assert_ne!(noise, noised(&vec![1_000_000; 4_000], 1_000, multiplier(3.0)).unwrap());
    }

    #[test]
    fn noise_that_is_none_is_refused() {
        assert!(matches!(mechanism(u64::MAX, multiplier(1e300)), Err(NoiseError::Mechanism { .. })));
        let error = mechanism(1, multiplier(1e-200)).unwrap_err();
        assert_eq!(error.fault(), Fault::Bug);
    }
}
