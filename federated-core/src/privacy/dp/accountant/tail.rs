//! The standard normal distribution where it is very small, without the loss of digits.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Above this the continued fraction is used; below, `erfc` times an exponential that is not large.
const FAR: f64 = 3.0;
/// Terms of the continued fraction; at [`FAR`] the rest is below 1e-25 of the value.
const TERMS: u32 = 80;

/// The chance of more than `x`: `Q(x)`, to a few units in the last place until it underflows at `x` of 38.
pub(super) fn upper(x: f64) -> f64 {
    0.5 * libm::erfc(x * FRAC_1_SQRT_2)
}

/// `ln Q(x)`, however far out.
pub(super) fn ln_upper(x: f64) -> f64 {
    if x < FAR { upper(x).ln() } else { ln_density(x) + mills(x).ln() }
}

/// `ln` of the density at `x`.
pub(super) fn ln_density(x: f64) -> f64 {
    -0.5 * (x * x + (2.0 * PI).ln())
}

/// Mills' ratio: `Q(x)` divided by the density at `x`. Grows without bound for negative `x`.
pub(super) fn mills(x: f64) -> f64 {
    if x < FAR { upper(x) / ln_density(x).exp() } else { 1.0 / (x + fraction(x)) }
}

/// By how much [`mills`] falls per unit at `x`: `1 - x mills(x)`, which subtracting would leave without digits.
pub(super) fn mills_fall(x: f64) -> f64 {
    if x < FAR {
        return 1.0 - x * mills(x);
    }
    let fraction = fraction(x);
    fraction / (x + fraction)
}

/// `1/(x + 2/(x + 3/(x + ...)))`.
fn fraction(x: f64) -> f64 {
    (1..=TERMS).rev().fold(0.0, |inner, term| f64::from(term) / (x + inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From mpmath 1.4.1 with 60 digits: `erfc(x/sqrt(2))/2` and its logarithm.
    #[test]
    fn the_tail_keeps_its_digits_however_far_out() {
        for (x, ln) in LN_UPPER {
            assert!((ln_upper(x) - ln).abs() <= 4e-15 * ln.abs() + f64::EPSILON, "{x}: {} {ln}", ln_upper(x));
        }
    }

    #[test]
    fn both_ways_to_the_ratio_agree_where_they_meet() {
        let (near, far) = (FAR - 1e-12, FAR + 1e-12);
        assert!((mills(near) / mills(far) - 1.0).abs() < 1e-12);
        assert!((mills_fall(near) / mills_fall(far) - 1.0).abs() < 1e-11);
    }

    const LN_UPPER: [(f64, f64); 7] = [
        (-8.0, -6.2209605742717861e-16),
        (-1.0, -0.17275377902344989),
        (0.5, -1.1759117615936186),
        (2.999, -6.6044435875705802),
        (3.5, -8.3660653083440929),
        (10.0, -53.231285150512471),
        (40.0, -804.60844201375379),
    ];
}
