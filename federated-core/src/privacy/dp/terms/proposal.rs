use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Placement, PrivacyTerms, TermsError};
use crate::privacy::dp::{
    Accountant, ClipNorm, Delta, Epsilon, NoiseMultiplier, SamplingRate, Target, least_noise,
    ledger::Adjacency,
};

/// Terms of privacy before they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "each of these must be said")]
pub struct Proposal {
    /// Where noise is added.
    pub placement: Placement,
    /// What two data sets that must look alike differ in.
    pub adjacency: Adjacency,
    /// What one unit's part in a sum is clipped to.
    pub clip: ClipNorm,
    /// The noise, in clip norms.
    pub noise_multiplier: NoiseMultiplier,
    /// The chance with which a unit takes part in a sum.
    pub sampling_rate: SamplingRate,
    /// How many noisy sums a round releases.
    pub steps: NonZeroU32,
    /// The most epsilon.
    pub epsilon: Epsilon,
    /// The delta it is meant with.
    pub delta: Delta,
    /// Who counts.
    pub accountant: Accountant,
}

impl Proposal {
    /// The closest accountant for noise at this place.
    #[must_use]
    pub fn accountant(placement: Placement, sampling_rate: SamplingRate) -> Accountant {
        match placement {
            // Its bound is one of Rényi divergences.
            Placement::Distributed => Accountant::Rdp,
            Placement::Local | Placement::Central => Accountant::closest_at(sampling_rate),
        }
    }

    /// The same with the least noise with which so many rounds stay within the budget.
    ///
    /// # Errors
    /// [`TermsError::Accounting`] when no noise is enough.
    pub fn calibrated(self, rounds: NonZeroU32) -> Result<Self, TermsError> {
        let target = Target { epsilon: self.epsilon, delta: self.delta.counted() };
        let sums = self.steps.saturating_mul(rounds);
        let noise = least_noise(self.accountant, target, self.sampling_rate, sums)?;
        let norms = match self.adjacency {
            Adjacency::AddRemove => 1.0,
            Adjacency::ReplaceOne => 2.0,
        };
        Ok(Self { noise_multiplier: NoiseMultiplier::new(noise.get() * norms)?, ..self })
    }

    /// Checks that the numbers make sense together.
    ///
    /// # Errors
    /// [`TermsError`] for the first thing that does not.
    pub fn check(self) -> Result<PrivacyTerms, TermsError> {
        let Self { placement, adjacency, sampling_rate, steps, accountant, .. } = self;
        if placement != Placement::Local && !sampling_rate.is_full() {
            return Err(TermsError::Sampled { found: sampling_rate.get() });
        }
        if placement != Placement::Local && steps.get() > 1 {
            return Err(TermsError::Steps { found: steps.get() });
        }
        if adjacency == Adjacency::ReplaceOne && !sampling_rate.is_full() {
            return Err(TermsError::ReplaceSampled);
        }
        if placement == Placement::Distributed && accountant != Accountant::Rdp {
            return Err(TermsError::Accountant { found: accountant.name() });
        }
        Ok(PrivacyTerms(self))
    }
}

impl TryFrom<Proposal> for PrivacyTerms {
    type Error = TermsError;

    fn try_from(proposal: Proposal) -> Result<Self, TermsError> {
        proposal.check()
    }
}

impl From<PrivacyTerms> for Proposal {
    fn from(terms: PrivacyTerms) -> Self {
        terms.0
    }
}
