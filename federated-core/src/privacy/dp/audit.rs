//! What one run of training gives away at the least: a bound of epsilon from below, measured.
//!
//! Canaries are examples made for the audit. A coin says of each whether it is trained on; afterwards the auditor guesses the
//! coins of some and abstains on the others. The better the guesses, the larger epsilon must be: whoever claims less
//! is wrong, up to the confidence.
//!
//! A small bound proves nothing: another auditor may guess better. A bound above the claim proves that something is broken.
//!
//! # References
//! Steinke, Nasr, Jagielski, *Privacy auditing with one (1) training run*, NeurIPS 2023: Theorem 5.2 and Algorithm 1.

#[cfg(test)]
mod tests;

use libm::lgamma;

use super::Delta;
use crate::fault::Fault;

/// Beyond this no bound is looked for.
const MOST_EPSILON: f64 = 100.0;
/// How often the interval that the bound is in is halved.
const HALVINGS: u32 = 60;

/// Why an audit says nothing.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The numbers do not fit together.
    #[error(
        "expected at most {canaries} guesses, of which at most all are right, found {guessed} of which {right} are right"
    )]
    Counts {
        /// How many canaries there are.
        canaries: u32,
        /// How many were guessed.
        guessed: u32,
        /// How many guesses were right.
        right: u32,
    },
    /// A canary has no score.
    #[error("expected a score for each canary, found {found} for canary {canary}")]
    Score {
        /// Which one, from 0.
        canary: usize,
        /// What was found.
        found: f64,
    },
    /// The confidence is none.
    #[error("expected a confidence above 0 and below 1, found {found}")]
    Confidence {
        /// What was found.
        found: f64,
    },
}

impl AuditError {
    /// Whose fault it is: audits are made by the caller.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// What an auditor guessed of the canaries, and how well.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::{Delta, audit::Guesses};
///
/// let all_right = Guesses::new(1_000, 100, 100)?;
/// let bound = all_right.epsilon_at_least(Delta::new(1e-5)?, 0.95)?;
/// assert!(bound > 3.4 && bound < 3.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guesses {
    canaries: u32,
    guessed: u32,
    right: u32,
}

impl Guesses {
    /// So many guesses about so many canaries, of which so many are right. How many are guessed must be fixed before the coins
    /// are looked at.
    ///
    /// # Errors
    /// [`AuditError::Counts`] when there are more guesses than canaries, or more right ones than guesses.
    pub const fn new(canaries: u32, guessed: u32, right: u32) -> Result<Self, AuditError> {
        if right > guessed || guessed > canaries {
            return Err(AuditError::Counts { canaries, guessed, right });
        }
        Ok(Self { canaries, guessed, right })
    }

    /// Guesses that the `each` canaries with the highest scores were trained on, and that the `each` with the lowest were not.
    ///
    /// `scored` has a score and the coin of each canary. Canaries of the same score are taken in their order.
    ///
    /// # Errors
    /// [`AuditError`] when a score is NaN, or there are fewer canaries than guesses.
    pub fn by_score(scored: &[(f64, bool)], each: u32) -> Result<Self, AuditError> {
        if let Some((canary, (found, _))) = scored.iter().enumerate().find(|(_, (score, _))| score.is_nan()) {
            return Err(AuditError::Score { canary, found: *found });
        }
        let canaries = u32::try_from(scored.len()).unwrap_or(u32::MAX);
        let guessed = each.saturating_mul(2);
        if guessed > canaries {
            return Err(AuditError::Counts { canaries, guessed, right: 0 });
        }
        let mut sorted = scored.to_vec();
        sorted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let each = usize::try_from(each).unwrap_or(usize::MAX);
        let out = sorted.iter().take(each).filter(|(_, included)| !included);
        let within = sorted.iter().rev().take(each).filter(|(_, included)| *included);
        let right = u32::try_from(out.count() + within.count()).unwrap_or(u32::MAX);
        Self::new(canaries, guessed, right)
    }

    /// How many canaries there are.
    #[must_use]
    pub const fn canaries(&self) -> u32 {
        self.canaries
    }

    /// How many were guessed.
    #[must_use]
    pub const fn guessed(&self) -> u32 {
        self.guessed
    }

    /// How many guesses were right.
    #[must_use]
    pub const fn right(&self) -> u32 {
        self.right
    }

    /// The chance, at most, of guessing so many right or more of a mechanism that keeps to this epsilon (0 or more) and delta.
    ///
    /// With delta 0 each guess is right with a chance of `e^epsilon / (1 + e^epsilon)` at most, whatever the others are: the
    /// tail of a binomial distribution. Delta adds `2 m delta max_i P[v - i <= B < v] / i`, for `m` canaries, `v` right guesses
    /// and that distribution's `B`.
    #[must_use]
    pub fn p_value(&self, epsilon: f64, delta: Delta) -> f64 {
        let (guessed, right) = (self.guessed, self.right);
        let beta: f64 = (right..=guessed).map(|count| chance(guessed, count, epsilon)).sum();
        let (mut sum, mut alpha) = (0.0_f64, 0.0_f64);
        for further in 1..=right {
            sum += chance(guessed, right - further, epsilon);
            alpha = alpha.max(sum / f64::from(further));
        }
        (beta + alpha * delta.get() * 2.0 * f64::from(self.canaries)).min(1.0)
    }

    /// What epsilon is at the least, with this confidence: 0.95 errs in one of twenty audits at most, of a mechanism that is
    /// barely as private as the bound says; 0 when nothing can be said.
    ///
    /// # Errors
    /// [`AuditError::Confidence`] when it is not between 0 and 1.
    pub fn epsilon_at_least(&self, delta: Delta, confidence: f64) -> Result<f64, AuditError> {
        if !(confidence > 0.0 && confidence < 1.0) {
            return Err(AuditError::Confidence { found: confidence });
        }
        let refuted = |epsilon: f64| self.p_value(epsilon, delta) < 1.0 - confidence;
        if !refuted(0.0) {
            return Ok(0.0);
        }
        let (mut below, mut above) = (0.0, MOST_EPSILON);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(below, above);
            if refuted(middle) { below = middle } else { above = middle }
        }
        Ok(below)
    }
}

/// The chance of `count` right guesses of `guessed`, each right with `e^epsilon / (1 + e^epsilon)`.
fn chance(guessed: u32, count: u32, epsilon: f64) -> f64 {
    let factorial = |number: u32| lgamma(f64::from(number) + 1.0);
    let ways = factorial(guessed) - factorial(count) - factorial(guessed - count);
    // ln(1 - q), and ln(q) from it: near 1, q has no digits to spare.
    let wrong = -epsilon - (-epsilon).exp().ln_1p();
    let right = -(-epsilon).exp().ln_1p();
    (ways + f64::from(count) * right + f64::from(guessed - count) * wrong).exp()
}
