//! From a budget back to what it buys: the least noise, or the most rounds.
//!
//! Both ask an accountant again and again. Answers are on the safe side: what is returned was itself asked about, and holds.

use std::num::NonZeroU32;

use super::{Accountant, AccountantError, Composition, MechanismStep};
use crate::privacy::dp::{Delta, Epsilon, NoiseMultiplier, SamplingRate};

/// Less noise is not looked for: epsilon is in the thousands there.
pub const LEAST_NOISE: f64 = 0.01;
/// More noise is not looked for.
pub const MOST_NOISE: f64 = 1e6;

/// What a run may spend.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "these two numbers are what a budget is")]
pub struct Target {
    /// The most epsilon.
    pub epsilon: Epsilon,
    /// The delta it is meant with.
    pub delta: Delta,
}

/// The least noise multiplier with which `rounds` rounds stay within the target, to a ten-thousandth of itself (by the
/// accountant "pld") or a ten-millionth, rounded up; [`LEAST_NOISE`] where less would do.
///
/// # Errors
/// [`AccountantError::Unreachable`] if [`MOST_NOISE`] is not enough; [`AccountantError::Sampled`] from the exact accountant if
/// someone may be left out of a round.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::{Accountant, Delta, Epsilon, SamplingRate, Target, least_noise};
///
/// let target = Target { epsilon: Epsilon::new(1.0)?, delta: Delta::new(1e-5)? };
/// let noise = least_noise(Accountant::Gaussian, target, SamplingRate::FULL, 100.try_into()?)?;
/// assert!((noise.get() - 37.3).abs() < 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn least_noise(
    accountant: Accountant,
    target: Target,
    sampling_rate: SamplingRate,
    rounds: NonZeroU32,
) -> Result<NoiseMultiplier, AccountantError> {
    if accountant == Accountant::Pld {
        return guided_noise(target, sampling_rate, rounds, TEN_THOUSANDTH);
    }
    let ask = |noise: f64| -> Result<Asked, AccountantError> {
        let noise = NoiseMultiplier::new(noise)?;
        let step = MechanismStep { noise_multiplier: noise, sampling_rate, rounds };
        Ok(Asked { noise, epsilon: spent(accountant, step, target.delta)? })
    };
    let holds = |asked: &Asked| asked.epsilon <= target.epsilon.get();
    let mut enough = ask(1.0)?;
    let mut short = 0.0;
    while !holds(&enough) {
        let Asked { noise: most, epsilon: found } = enough;
        if most.get() >= MOST_NOISE {
            let Target { epsilon, delta } = target;
            return Err(AccountantError::Unreachable { accountant, target: epsilon, delta, most, found });
        }
        short = most.get();
        enough = ask((2.0 * short).min(MOST_NOISE))?;
    }
    while enough.noise.get() > (short * (1.0 + 1e-7)).max(LEAST_NOISE) {
        let noise = enough.noise.get();
        let middle = ask(if short > 0.0 { (short * noise).sqrt() } else { (noise / 2.0).max(LEAST_NOISE) })?;
        if holds(&middle) {
            enough = middle;
        } else {
            short = middle.noise.get();
        }
    }
    Ok(enough.noise)
}

/// As [`least_noise`], with noise that spends the target to this part of it, if not more closely: quicker for the accountant
/// "pld", and the same for the others.
///
/// # Errors
/// As [`least_noise`].
pub fn noise_within(
    accountant: Accountant,
    target: Target,
    sampling_rate: SamplingRate,
    rounds: NonZeroU32,
    tolerance: f64,
) -> Result<NoiseMultiplier, AccountantError> {
    match accountant {
        Accountant::Pld => guided_noise(target, sampling_rate, rounds, tolerance.max(TEN_THOUSANDTH)),
        Accountant::Gaussian | Accountant::Rdp => least_noise(accountant, target, sampling_rate, rounds),
    }
}

/// The accountant "pld" takes long over an answer, so it is asked few times: what "rdp" says of other noise, in proportion to what
/// both say of the last, is where it is asked next.
///
/// Epsilon falls by more than its part when noise grows by some part, so that noise is as close as epsilon is.
fn guided_noise(
    target: Target,
    sampling_rate: SamplingRate,
    rounds: NonZeroU32,
    tolerance: f64,
) -> Result<NoiseMultiplier, AccountantError> {
    let (goal, delta) = (target.epsilon.get(), target.delta);
    let coarse = |epsilon: f64| {
        let target = Target { epsilon: Epsilon::new(epsilon).ok()?, delta };
        least_noise(Accountant::Rdp, target, sampling_rate, rounds).ok().map(NoiseMultiplier::get)
    };
    let (mut short, mut enough, mut guesses) = (0.0_f64, f64::INFINITY, 0..MOST_GUESSES);
    let mut noise = coarse(goal).unwrap_or(1.0);
    loop {
        let noise_multiplier = NoiseMultiplier::new(noise)?;
        let step = MechanismStep { noise_multiplier, sampling_rate, rounds };
        let found = spent(Accountant::Pld, step, delta)?;
        if found > goal {
            if noise >= MOST_NOISE {
                let (accountant, target, most) = (Accountant::Pld, target.epsilon, noise_multiplier);
                return Err(AccountantError::Unreachable { accountant, target, delta, most, found });
            }
            short = noise;
        } else {
            if found >= goal * (1.0 - tolerance) || noise <= LEAST_NOISE {
                return Ok(noise_multiplier);
            }
            enough = noise;
        }
        if enough <= short * (1.0 + tolerance) {
            return NoiseMultiplier::new(enough).map_err(AccountantError::from);
        }
        let ratio = found / spent(Accountant::Rdp, step, delta)?;
        let guess = guesses.next().and_then(|_| coarse(goal * (1.0 - tolerance / 2.0) / ratio));
        noise = match guess.filter(|guess| short < *guess && *guess < enough) {
            Some(guess) => guess,
            None if enough.is_infinite() => (2.0 * short).min(MOST_NOISE),
            None if short > 0.0 => (short * enough).sqrt(),
            None => (enough / 1.25).max(LEAST_NOISE),
        };
    }
}

/// How close the accountant "pld" is asked for.
const TEN_THOUSANDTH: f64 = 1e-4;
/// So many guesses are as a rule twice as many as are needed; after them the bracket is halved.
const MOST_GUESSES: u32 = 8;

/// The most rounds that stay within the target, at most 2^32 - 1.
///
/// # Errors
/// [`AccountantError::NoRound`] if a single round is too much; [`AccountantError::Sampled`] from the exact accountant if someone
/// may be left out of a round.
pub fn most_rounds(
    accountant: Accountant,
    target: Target,
    noise_multiplier: NoiseMultiplier,
    sampling_rate: SamplingRate,
) -> Result<NonZeroU32, AccountantError> {
    let ask = |rounds: NonZeroU32| {
        let step = MechanismStep { noise_multiplier, sampling_rate, rounds };
        spent(accountant, step, target.delta)
    };
    let (budget, delta) = (target.epsilon, target.delta);
    let holds = |rounds: NonZeroU32| Ok::<_, AccountantError>(ask(rounds)? <= budget.get());
    let mut within = NonZeroU32::MIN;
    if !holds(within)? {
        return Err(AccountantError::NoRound { budget, delta, found: ask(within)? });
    }
    if accountant == Accountant::Pld
        && let Ok(coarse) = most_rounds(Accountant::Rdp, target, noise_multiplier, sampling_rate)
        && holds(coarse)?
    {
        within = coarse;
    }
    let mut beyond = within.saturating_mul(TWO);
    while holds(beyond)? {
        if beyond == NonZeroU32::MAX {
            return Ok(beyond);
        }
        within = beyond;
        beyond = beyond.saturating_mul(TWO);
    }
    while let Some(middle) = between(within, beyond) {
        if holds(middle)? {
            within = middle;
        } else {
            beyond = middle;
        }
    }
    Ok(within)
}

const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

/// A noise multiplier, and the epsilon that is spent with it.
struct Asked {
    noise: NoiseMultiplier,
    epsilon: f64,
}

/// The middle of two numbers, if there is any number between them.
fn between(low: NonZeroU32, high: NonZeroU32) -> Option<NonZeroU32> {
    let half = (high.get() - low.get()) / 2;
    (half > 0).then(|| low.saturating_add(half))
}

/// The epsilon of a step; infinite where there is no bound.
fn spent(accountant: Accountant, step: MechanismStep, delta: Delta) -> Result<f64, AccountantError> {
    match accountant.epsilon(&Composition::from(step), delta) {
        Ok(spent) => Ok(spent.epsilon),
        Err(AccountantError::Unbounded { .. }) => Ok(f64::INFINITY),
        Err(error) => Err(error),
    }
}
