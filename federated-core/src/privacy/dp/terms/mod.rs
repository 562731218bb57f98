//! What a job says about differential privacy, and what each of its rounds spends.
//!
//! Read in this order: where noise is added ([`Placement`]); the terms themselves ([`PrivacyTerms`]), made of a
//! [`Proposal`] that is checked and calibrated; why there are none ([`TermsError`]); what other terms would cost and bring, for
//! whoever still chooses ([`PrivacyPlan`]).

mod error;
mod placement;
mod plan;
mod proposal;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

pub use error::TermsError;
pub use placement::Placement;
pub use plan::{MeanNoise, PlanChoice, PrivacyPlan, SpentByRound};
pub use proposal::Proposal;

use super::{
    Accountant, ClipNorm, Composition, MechanismStep, NoiseMultiplier, SamplingRate, Target,
    ledger::{Adjacency, Budget, PrivacyUnit},
    quantities::KEPT_BACK,
};

/// What a job's rounds do for privacy. Only [`Proposal::check`] makes them, so they make sense together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Proposal", into = "Proposal")]
pub struct PrivacyTerms(Proposal);

impl PrivacyTerms {
    /// Where noise is added.
    #[must_use]
    pub const fn placement(&self) -> Placement {
        self.0.placement
    }

    /// Whose presence is hidden.
    #[must_use]
    pub const fn unit(&self) -> PrivacyUnit {
        self.0.placement.unit()
    }

    /// What two data sets that must look alike differ in.
    #[must_use]
    pub const fn adjacency(&self) -> Adjacency {
        self.0.adjacency
    }

    /// What one unit's part in a sum is clipped to, in Euclidean norm over all tensors.
    #[must_use]
    pub const fn clip(&self) -> ClipNorm {
        self.0.clip
    }

    /// The standard deviation of the noise on a sum, divided by the clip norm.
    #[must_use]
    pub const fn noise_multiplier(&self) -> NoiseMultiplier {
        self.0.noise_multiplier
    }

    /// The chance with which a unit takes part in a sum.
    #[must_use]
    pub const fn sampling_rate(&self) -> SamplingRate {
        self.0.sampling_rate
    }

    /// How many noisy sums a round releases: gradient steps at a site, and one where updates are summed.
    #[must_use]
    pub const fn steps(&self) -> NonZeroU32 {
        self.0.steps
    }

    /// What the job may spend.
    #[must_use]
    pub const fn target(&self) -> Target {
        Target { epsilon: self.0.epsilon, delta: self.0.delta }
    }

    /// Who counts.
    #[must_use]
    pub const fn accountant(&self) -> Accountant {
        self.0.accountant
    }

    /// What the job's ledger allows, for its unit.
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget {
            unit: self.unit(),
            adjacency: self.0.adjacency,
            epsilon: self.0.epsilon,
            delta: self.0.delta.counted(),
            accountant: self.0.accountant,
        }
    }

    /// Checks that the part of delta which budgets keep back covers what so many rounds of noise on a grid differ from the
    /// Gaussian that is counted, for a model of so many values.
    ///
    /// # Errors
    /// [`TermsError::Grid`] when it does not.
    pub fn check_grid(&self, elements: u64, rounds: NonZeroU32) -> Result<(), TermsError> {
        // What `GridNoise::distance` is below, whatever the noise.
        let distance = (elements as f64).sqrt() * 2.0_f64.powi(-55);
        let sums = f64::from(rounds.get()) * f64::from(self.0.steps.get());
        let needed = (1.0 + self.0.epsilon.get().exp()) * sums * distance;
        let kept = self.0.delta.get() * KEPT_BACK;
        if self.0.placement == Placement::Distributed || needed <= kept {
            Ok(())
        } else {
            Err(TermsError::Grid { needed: needed / KEPT_BACK, delta: self.0.delta })
        }
    }

    /// What one round spends, for the job's unit.
    #[must_use]
    pub fn charge(&self) -> Composition {
        self.charge_with(self.norms())
    }

    /// The noise of a sum in units of what one unit can change it by, as accountants count it.
    #[must_use]
    pub fn counted_noise(&self) -> NoiseMultiplier {
        self.noise_over(self.norms())
    }

    /// How many clip norms a unit can change a sum by: one that is replaced takes one away and adds one.
    const fn norms(&self) -> f64 {
        match self.0.adjacency {
            Adjacency::ReplaceOne => 2.0,
            Adjacency::AddRemove => 1.0,
        }
    }

    fn noise_over(&self, norms: f64) -> NoiseMultiplier {
        NoiseMultiplier::new(self.0.noise_multiplier.get() / norms).unwrap_or(self.0.noise_multiplier)
    }

    /// What one round spends of a site's own budget, which is for adding or removing a record.
    ///
    /// Where the unit is a participant, a record's change makes one update another, within the clip norm each: twice the
    /// norm at most.
    #[must_use]
    pub fn site_charge(&self) -> Composition {
        self.charge_with(match self.unit() {
            PrivacyUnit::Record => 1.0,
            PrivacyUnit::Participant => 2.0,
        })
    }

    /// The charge when a unit can change a sum by so many clip norms.
    fn charge_with(&self, norms: f64) -> Composition {
        let noise_multiplier = self.noise_over(norms);
        MechanismStep { noise_multiplier, sampling_rate: self.0.sampling_rate, rounds: self.0.steps }.into()
    }
}
