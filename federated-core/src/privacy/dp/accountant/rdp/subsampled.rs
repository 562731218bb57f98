//! The Rényi divergence of one round of Gaussian noise on a Poisson sample.
//!
//! For order `a` it is `ln A(a) / (a - 1)` with `A(a)` the mean of the `a`-th power of the ratio of densities.

use crate::privacy::dp::{NoiseMultiplier, SamplingRate, accountant::tail};

/// The series of a broken order ends where its terms are below this, as logarithms.
const LAST_TERM: f64 = -34.0;
/// Terms of a series that has not ended by then; the bound by whole orders is used instead.
const MOST_TERMS: u32 = 200_000;
/// More noise is counted as this, so that its square does not overflow.
const MOST_NOISE: f64 = 1e100;
/// What each term of a series may be off by, as a part of its size.
const TERM_ROUNDING: f64 = 1e-13;

/// The divergence at `order`, which is above 1.
pub(super) fn divergence(order: f64, noise: NoiseMultiplier, rate: SamplingRate) -> f64 {
    let (z, q) = (noise.get().min(MOST_NOISE), rate.get());
    if rate.is_full() {
        return 0.5 * order / (z * z);
    }
    let floor = order.floor();
    if floor >= order {
        return ln_moment(order, z, q) / (order - 1.0);
    }
    // ln A is convex: between whole orders it is at most the chord. Where A is close to 1 the chord is what has digits.
    let above = order - floor;
    let chord = (1.0 - above) * ln_moment(floor, z, q) + above * ln_moment(floor + 1.0, z, q);
    let series = ln_moment_series(order, z, q).unwrap_or(f64::INFINITY);
    chord.min(series) / (order - 1.0)
}

/// `ln A` at a whole order.
///
/// Of `A = sum C(a,j) q^j (1-q)^(a-j) exp(j(j-1)/(2 z^2))` the 1 is taken away term by term: what is left is positive in
/// every term, so that no digit is lost however little a round reveals.
fn ln_moment(order: f64, z: f64, q: f64) -> f64 {
    let mut rest = ScaledSum::default();
    let mut ln_coefficient = 0.0;
    let mut j = 0.0;
    while j < order {
        ln_coefficient += ((order - j) / (j + 1.0)).ln();
        j += 1.0;
        if j > 1.0 {
            let exponent = 0.5 * j * (j - 1.0) / (z * z);
            let ln_expm1 =
                if exponent > 1.0 { exponent + (-(-exponent).exp()).ln_1p() } else { exponent.exp_m1().ln() };
            rest.add(1.0, ln_coefficient + j * q.ln() + (order - j) * (-q).ln_1p() + ln_expm1);
        }
    }
    let ln_rest = rest.ln();
    if ln_rest > 0.0 { ln_rest + (-ln_rest).exp().ln_1p() } else { ln_rest.exp().ln_1p() }
}

/// `ln A` at a broken order by two series, one for either side of the point where both densities are equal; rounded up.
///
/// # References
/// Mironov, Talwar and Zhang 2019, section 3.3.
fn ln_moment_series(order: f64, z: f64, q: f64) -> Option<f64> {
    let meet = z * z * (1.0 / q - 1.0).ln() + 0.5;
    let (ln_q, ln_rest) = (q.ln(), (-q).ln_1p());
    let mut sum = ScaledSum::default();
    let mut ln_coefficient = 0.0;
    let mut sign = 1.0;
    for term in 0..MOST_TERMS {
        let i = f64::from(term);
        let j = order - i;
        let left = i * ln_q + j * ln_rest + 0.5 * (i * i - i) / (z * z) + tail::ln_upper((i - meet) / z);
        let right = j * ln_q + i * ln_rest + 0.5 * (j * j - j) / (z * z) + tail::ln_upper((meet - j) / z);
        let (left, right) = (ln_coefficient + left, ln_coefficient + right);
        sum.add(sign, left);
        sum.add(sign, right);
        // From here on the signs alternate and the terms fall, so that the rest is less than the last term.
        if i > order && left.max(right) < LAST_TERM {
            sum.widen(2.0 * LAST_TERM.exp());
            return Some(sum.ln());
        }
        ln_coefficient += (j.abs() / (i + 1.0)).ln();
        sign *= j.signum();
    }
    None
}

/// A sum of numbers of which the logarithms are given, none of which may overflow.
#[derive(Default)]
struct ScaledSum {
    /// Logarithm of the scale of the other two.
    scale: f64,
    sum: f64,
    /// The same of the absolute values: how large rounding may be.
    size: f64,
}

impl ScaledSum {
    fn add(&mut self, sign: f64, ln: f64) {
        if ln > self.scale || self.size <= 0.0 {
            let factor = (self.scale - ln).exp();
            self.sum *= if self.size > 0.0 { factor } else { 0.0 };
            self.size *= if self.size > 0.0 { factor } else { 0.0 };
            self.scale = ln;
        }
        let term = (ln - self.scale).exp();
        self.sum += sign * term;
        self.size += term;
    }

    /// Adds what was left out.
    fn widen(&mut self, left_out: f64) {
        self.sum += left_out * (-self.scale).exp() + TERM_ROUNDING * self.size;
    }

    fn ln(&self) -> f64 {
        self.scale + self.sum.ln()
    }
}
