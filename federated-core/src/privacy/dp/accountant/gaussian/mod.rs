//! The exact accountant: Gaussian noise, everyone takes part in each round.
//!
//! Rounds with noise multipliers `z_r` are together one round with `mu^2 = sum 1/z_r^2`, and that round's
//! `delta = Phi(mu/2 - epsilon/mu) - exp(epsilon) Phi(-mu/2 - epsilon/mu)` holds with equality. "Exact" is meant of the
//! formula; numbers are to 1e-9 of their value, in the tails too (delta of 1e-300), and rounded up.
//!
//! # References
//! Balle and Wang 2018 (Theorem 8); Dong, Roth and Su 2022 (Corollary 3.3 for the composition).

use super::{Accountant, AccountantError, Composition, tail};
use crate::privacy::dp::{Delta, Epsilon};

#[cfg(test)]
mod tests;

/// How far `ln delta` may be off for each unit of 1 and of the exponent; both are added before anything is compared.
const ROUNDING: f64 = 1e-12;
/// More noise is counted as this, so that its square does not overflow.
const MOST_NOISE: f64 = 1e100;
/// Halvings of a range: more than a double has digits, also where the epsilon is a small part of the range.
const HALVINGS: u32 = 200;

/// The least epsilon that holds with `delta`; 0 where none is needed.
///
/// # Errors
/// [`AccountantError::Sampled`] if someone may be left out of a round; [`AccountantError::Unbounded`] where there is so little
/// noise that the epsilon is no number.
pub fn epsilon(composition: &Composition, delta: Delta) -> Result<f64, AccountantError> {
    let mu = sensitivity(composition)?;
    let target = delta.get().ln();
    if ln_delta(mu, 0.0) <= target {
        return Ok(0.0);
    }
    // delta <= Q(epsilon/mu - mu/2) <= exp(-(epsilon/mu - mu/2)^2 / 2).
    let mut high = mu * (0.5 * mu + (-2.0 * target).sqrt()) * 1.001;
    if !high.is_finite() {
        return Err(AccountantError::Unbounded { accountant: Accountant::Gaussian, delta });
    }
    let mut low = 0.0;
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if ln_delta(mu, middle) <= target {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

/// The least delta that holds with `epsilon`, from 0 to 1.
///
/// # Errors
/// [`AccountantError::Sampled`] if someone may be left out of a round.
pub fn delta(composition: &Composition, epsilon: Epsilon) -> Result<f64, AccountantError> {
    let mu = sensitivity(composition)?;
    let delta = ln_delta(mu, epsilon.get()).exp().min(1.0);
    Ok(if mu > 0.0 { delta.max(f64::MIN_POSITIVE) } else { 0.0 })
}

/// `mu`: how far apart one unit moves the outcome of all rounds together, in standard deviations.
fn sensitivity(composition: &Composition) -> Result<f64, AccountantError> {
    if let Some(sampled) = composition.steps().iter().find(|step| !step.sampling_rate.is_full()) {
        return Err(AccountantError::Sampled { found: sampled.sampling_rate });
    }
    Ok(composition.total(|step| step.noise_multiplier.get().min(MOST_NOISE).powi(-2)).sqrt())
}

/// `ln delta`, rounded up.
///
/// With `a = epsilon/mu - mu/2`, `b = a + mu`, density `phi` and Mills' ratio `R`, `delta` is `phi(a) (R(a) - R(b))`: the
/// factor `exp(epsilon)` is gone, and what is small is so by `phi(a)`, of which the logarithm is known.
fn ln_delta(mu: f64, epsilon: f64) -> f64 {
    if mu <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let a = epsilon / mu - 0.5 * mu;
    let b = epsilon / mu + 0.5 * mu;
    let found = if mu <= 1.0 {
        // R(a) and R(b) are nearly the same: their difference is the integral of what R falls by.
        tail::ln_density(a) + integral(tail::mills_fall, a, b).ln()
    } else if a < 0.0 {
        (tail::upper(a) - tail::ln_density(a).exp() * tail::mills(b)).ln()
    } else {
        tail::ln_density(a) + (tail::mills(a) - tail::mills(b)).ln()
    };
    found + ROUNDING * (1.0 + 0.01 * a.abs() * b)
}

/// Gauss-Legendre quadrature with 10 points on each half: for a smooth function over at most a unit, exact to rounding.
fn integral(of: impl Fn(f64) -> f64, from: f64, to: f64) -> f64 {
    const POINTS: [(f64, f64); 5] = [
        (0.148_874_338_981_631_22, 0.295_524_224_714_752_87),
        (0.433_395_394_129_247_2, 0.269_266_719_309_996_35),
        (0.679_409_568_299_024_4, 0.219_086_362_515_982_04),
        (0.865_063_366_688_984_5, 0.149_451_349_150_580_6),
        (0.973_906_528_517_171_7, 0.066_671_344_308_688_14),
    ];
    let quarter = 0.25 * (to - from);
    let half = |middle: f64| -> f64 {
        POINTS.iter().map(|(x, w)| w * (of(middle - quarter * x) + of(middle + quarter * x))).sum()
    };
    quarter * (half(from + quarter) + half(to - quarter))
}
