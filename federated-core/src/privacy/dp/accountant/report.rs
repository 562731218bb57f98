use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{AccountantError, Composition, RdpCurve, gaussian, pld};
use crate::privacy::dp::{Delta, Epsilon};

/// One of the three ways to count; all count the same thing, and none below what was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Accountant {
    /// Exact, for rounds in which everyone takes part.
    Gaussian,
    /// By Rényi divergences: quick, coarse.
    Rdp,
    /// By the distribution of the loss: close to exact, a fraction of a second a question.
    Pld,
}

/// No accountant has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an accountant: \"gaussian\", \"rdp\" or \"pld\", found {found:?}")]
#[non_exhaustive]
pub struct UnknownAccountant {
    /// The name.
    pub found: String,
}

/// What a composition spends, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spent {
    /// The epsilon: 0 or more, finite, rounded up.
    pub epsilon: f64,
    /// The delta it holds with.
    pub delta: Delta,
    /// Who counted.
    pub accountant: Accountant,
}

/// What each accountant says of the same composition.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// By Rényi divergences.
    pub epsilon_rdp: f64,
    /// The order it follows from.
    pub rdp_order: f64,
    /// By the distribution of the loss.
    pub epsilon_pld: f64,
    /// Exact; only where everyone takes part in each round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon_exact: Option<f64>,
}

impl Accountant {
    /// The closest accountant that can count the composition.
    #[must_use]
    pub fn closest(composition: &Composition) -> Self {
        let full = composition.steps().iter().all(|step| step.sampling_rate.is_full());
        if full { Self::Gaussian } else { Self::Pld }
    }

    /// The name, as reports and configurations have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::Rdp => "rdp",
            Self::Pld => "pld",
        }
    }

    /// The version of the computation: another one may give another number for the same composition.
    #[must_use]
    pub const fn version(self) -> u32 {
        1
    }

    /// The least epsilon that holds with `delta`.
    ///
    /// # Errors
    /// [`AccountantError::Sampled`] from the exact accountant if someone may be left out of a round;
    /// [`AccountantError::Unbounded`] if there is no finite epsilon.
    ///
    /// # Examples
    /// ```
    /// use federated_core::privacy::dp::{Accountant, Composition, Delta, MechanismStep, NoiseMultiplier, SamplingRate};
    ///
    /// let step = MechanismStep {
    ///     noise_multiplier: NoiseMultiplier::new(10.0)?,
    ///     sampling_rate: SamplingRate::FULL,
    ///     rounds: 100.try_into()?,
    /// };
    /// let spent = Accountant::Gaussian.epsilon(&step.into(), Delta::new(1e-5)?)?;
    /// assert!((spent.epsilon - 4.3772).abs() < 1e-4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn epsilon(self, composition: &Composition, delta: Delta) -> Result<Spent, AccountantError> {
        let epsilon = match self {
            Self::Gaussian => gaussian::epsilon(composition, delta)?,
            Self::Rdp => RdpCurve::of(composition).epsilon(delta).epsilon,
            Self::Pld => pld::epsilon(composition, delta)?,
        };
        if !epsilon.is_finite() {
            return Err(AccountantError::Unbounded { accountant: self, delta });
        }
        Ok(Spent { epsilon, delta, accountant: self })
    }

    /// The least delta that holds with `epsilon`: from 0 to 1, rounded up.
    ///
    /// # Errors
    /// [`AccountantError::Sampled`] from the exact accountant if someone may be left out of a round.
    pub fn delta(self, composition: &Composition, epsilon: Epsilon) -> Result<f64, AccountantError> {
        match self {
            Self::Gaussian => gaussian::delta(composition, epsilon),
            Self::Rdp => Ok(RdpCurve::of(composition).delta(epsilon)),
            Self::Pld => Ok(pld::delta(composition, epsilon)),
        }
    }
}

impl Comparison {
    /// Asks all accountants.
    ///
    /// # Errors
    /// [`AccountantError::Unbounded`] if there is no finite epsilon.
    pub fn of(composition: &Composition, delta: Delta) -> Result<Self, AccountantError> {
        Accountant::Rdp.epsilon(composition, delta)?;
        let rdp = RdpCurve::of(composition).epsilon(delta);
        let epsilon_pld = Accountant::Pld.epsilon(composition, delta)?.epsilon;
        let epsilon_exact = match Accountant::Gaussian.epsilon(composition, delta) {
            Ok(spent) => Some(spent.epsilon),
            Err(AccountantError::Sampled { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { epsilon_rdp: rdp.epsilon, rdp_order: rdp.order, epsilon_pld, epsilon_exact })
    }
}

impl fmt::Display for Accountant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Accountant {
    type Err = UnknownAccountant;

    fn from_str(name: &str) -> Result<Self, UnknownAccountant> {
        let all = [Self::Gaussian, Self::Rdp, Self::Pld];
        let found = all.into_iter().find(|accountant| accountant.name() == name);
        found.ok_or_else(|| UnknownAccountant { found: name.to_owned() })
    }
}
