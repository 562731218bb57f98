use num_bigint::BigUint;

use super::{
    Variance,
    exponential::{EXP_ERROR, exp_neg},
    interval,
    strips::{Bounds, Shape},
};

/// Below this mean the distribution is written out.
const SMALL: f64 = 4_096.0;
/// 2^64.
const UNIT: f64 = 18_446_744_073_709_551_616.0;
/// What arithmetic with `f64` is allowed to be off by, of the value: it is off by less than 2^-38 (see
/// [`Poisson::exponent`]).
const ALLOWANCE: f64 = 1.0 / 1_073_741_824.0;

/// The Poisson distribution of a mean that is a fraction.
pub(super) struct Poisson {
    mean: Variance,
    /// The mean, whole and what is left, below 1.
    mode: i64,
    rest: f64,
    /// `p(k) / p(mode)` for each `k` where it matters, when the mean is small.
    ratios: Vec<f64>,
}

impl Poisson {
    pub(super) fn new(mean: Variance) -> Self {
        let whole = mean.numerator() / mean.denominator();
        let rest = (mean.numerator() % mean.denominator()) as f64 / mean.denominator() as f64;
        let mode = i64::try_from(whole).unwrap_or(i64::MAX);
        let ratios = if mean.to_f64() < SMALL { ratios(mode, mean.to_f64()) } else { Vec::new() };
        Self { mean, mode, rest, ratios }
    }

    /// `-ln (p(k) / p(mode))` for a large mean.
    ///
    /// With `x = (k - mean) / mean`, `ln p(k) = -mean ((1 + x) ln(1 + x) - x) - ln(k) / 2 - 1/(12 k) + constant`, off
    /// by at most `1 / (360 k^3)`, which is below 2^-43. The difference of `k` and the mean is exact but for its
    /// fraction; every term is below 128 where it is used and off by at most some 2^-50 of itself, and there are no
    /// logarithms but as series.
    fn exponent(&self, k: i64) -> Option<f64> {
        let (mean, mode) = (self.mean.to_f64(), self.mode as f64);
        let distance = (k - self.mode) as f64;
        if distance.abs() > 0.2 * mean {
            return None;
        }
        let deviance = |distance: f64| {
            let x = distance / mean;
            // ((1 + x) ln(1 + x) - x) / x^2 = 1/2 - x/6 + x^2/12 - ...
            let series =
                (0..28).rev().map(f64::from).fold(0.0, |sum, n| 1.0 / ((n + 1.0) * (n + 2.0)) - x * sum);
            mean * x * x * series
        };
        // ln(k / mode) = 2 atanh t, for t = (k - mode) / (k + mode).
        let t = distance / (2.0 * mode + distance);
        let atanh = t * (0..14).rev().map(f64::from).fold(0.0, |sum, n| 1.0 / (2.0 * n + 1.0) + t * t * sum);
        let stirling = (1.0 / (mode + distance) - 1.0 / mode) / 12.0;
        Some(deviance(distance - self.rest) - deviance(-self.rest) + atanh + stirling)
    }
}

/// `p(k) / p(mode)` for every `k` where it is at least 2^-70.
///
/// At most 5,000 roundings of 2^-53 each lie between any of them and 1.
fn ratios(mode: i64, mean: f64) -> Vec<f64> {
    const LEAST: f64 = 1.0 / (UNIT * 64.0);
    let float = |k: i64| k as f64;
    let mut ratios: Vec<f64> = (0..mode)
        .rev()
        .scan(1.0, |ratio, k| {
            *ratio *= float(k + 1) / mean;
            Some(*ratio)
        })
        .collect();
    ratios.reverse();
    let (mut ratio, mut k) = (1.0, mode);
    while ratio > LEAST {
        ratios.push(ratio);
        k += 1;
        ratio *= mean / float(k);
    }
    ratios
}

impl Shape for Poisson {
    fn mode(&self) -> i64 {
        self.mode
    }

    fn spread(&self) -> f64 {
        self.mean.sigma()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and saturating"
    )]
    fn bounds(&self, y: i64) -> Bounds {
        let Ok(at) = usize::try_from(y) else { return Bounds::TINY };
        let (value, error) = if self.ratios.is_empty() {
            // Beyond a fifth of the mean off, p is below exp(-75): with Stirling's terms, far below a unit.
            let Some(exponent) = self.exponent(y) else { return Bounds::TINY };
            (exp_neg((exponent.max(0.0) * UNIT) as u128), EXP_ERROR + 1)
        } else {
            let Some(ratio) = self.ratios.get(at) else { return Bounds::TINY };
            ((ratio * UNIT) as u64, 1)
        };
        Bounds::around(value, error + (value as f64 * ALLOWANCE).ceil() as u64)
    }

    fn precise(&self, y: i64, bits: u64) -> (BigUint, BigUint) {
        let (mean, one) = (BigUint::from(self.mean.numerator()), BigUint::from(self.mean.denominator()));
        let Ok(y) = u64::try_from(y) else { return (BigUint::ZERO, BigUint::ZERO) };
        let mode = self.mode.unsigned_abs();
        let steps = usize::try_from(y.abs_diff(mode)).unwrap_or(usize::MAX);
        if y >= mode {
            interval::product((0..steps).map(|step| (mean.clone(), &one * (mode + 1 + step as u64))), bits)
        } else {
            interval::product((0..steps).map(|step| (&one * (mode - step as u64), mean.clone())), bits)
        }
    }
}
