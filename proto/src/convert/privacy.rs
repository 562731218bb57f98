use std::num::NonZeroU32;

use federated_core::privacy::dp::{
    ClipNorm, Delta, Epsilon, NoiseMultiplier, SamplingRate,
    ledger::Adjacency,
    terms::{Placement, PrivacyTerms, Proposal},
};

use super::range;
use crate::{WireError, v1};

impl From<&PrivacyTerms> for v1::DifferentialPrivacy {
    fn from(terms: &PrivacyTerms) -> Self {
        let placement = match terms.placement() {
            Placement::Local => v1::NoisePlacement::Local,
            Placement::Central => v1::NoisePlacement::Central,
            Placement::Distributed => v1::NoisePlacement::Distributed,
        };
        let target = terms.target();
        Self {
            placement: placement.into(),
            replace_one: terms.adjacency() == Adjacency::ReplaceOne,
            clip: terms.clip().get(),
            noise_multiplier: terms.noise_multiplier().get(),
            sampling_rate: terms.sampling_rate().get(),
            steps: terms.steps().get(),
            epsilon: target.epsilon.get(),
            delta: target.delta.get(),
            accountant: terms.accountant().name().to_owned(),
        }
    }
}

impl TryFrom<v1::DifferentialPrivacy> for PrivacyTerms {
    type Error = WireError;

    fn try_from(wire: v1::DifferentialPrivacy) -> Result<Self, WireError> {
        const FIELD: &str = "train.privacy";
        let placement = match wire.placement() {
            v1::NoisePlacement::Local => Placement::Local,
            v1::NoisePlacement::Central => Placement::Central,
            v1::NoisePlacement::Distributed => Placement::Distributed,
            v1::NoisePlacement::Unspecified => {
                return Err(range("train.privacy.placement", "1, 2 or 3", wire.placement));
            }
        };
        let steps =
            NonZeroU32::new(wire.steps).ok_or_else(|| range("train.privacy.steps", "at least 1", 0))?;
        let accountant = wire.accountant.parse().map_err(|_| {
            range("train.privacy.accountant", "\"gaussian\", \"rdp\" or \"pld\"", &wire.accountant)
        })?;
        let proposal = Proposal {
            placement,
            adjacency: if wire.replace_one { Adjacency::ReplaceOne } else { Adjacency::AddRemove },
            clip: ClipNorm::new(wire.clip)
                .map_err(|_| range("train.privacy.clip", "a finite number above 0", wire.clip))?,
            noise_multiplier: NoiseMultiplier::new(wire.noise_multiplier).map_err(|_| {
                range("train.privacy.noise_multiplier", "a finite number above 0", wire.noise_multiplier)
            })?,
            sampling_rate: SamplingRate::new(wire.sampling_rate).map_err(|_| {
                range("train.privacy.sampling_rate", "above 0 and at most 1", wire.sampling_rate)
            })?,
            steps,
            epsilon: Epsilon::new(wire.epsilon)
                .map_err(|_| range("train.privacy.epsilon", "a finite number above 0", wire.epsilon))?,
            delta: Delta::new(wire.delta)
                .map_err(|_| range("train.privacy.delta", "above 0 and below 1", wire.delta))?,
            accountant,
        };
        proposal.check().map_err(|error| range(FIELD, "terms that go together", error))
    }
}

#[cfg(test)]
mod tests {
    use federated_core::privacy::dp::Accountant;

    use super::*;

    fn terms(placement: Placement) -> PrivacyTerms {
        Proposal {
            placement,
            adjacency: Adjacency::ReplaceOne,
            clip: ClipNorm::new(0.7).unwrap(),
            noise_multiplier: NoiseMultiplier::new(1.1).unwrap(),
            sampling_rate: SamplingRate::FULL,
            steps: NonZeroU32::MIN,
            epsilon: Epsilon::new(4.0).unwrap(),
            delta: Delta::new(1e-5).unwrap(),
            accountant: Accountant::Rdp,
        }
        .check()
        .unwrap()
    }

    #[test]
    fn terms_survive_the_trip() {
        for placement in Placement::ALL {
            let wire = v1::DifferentialPrivacy::from(&terms(placement));
            assert_eq!(PrivacyTerms::try_from(wire), Ok(terms(placement)));
        }
    }

    #[test]
    fn terms_that_nobody_can_keep_are_refused() {
        let wire = || v1::DifferentialPrivacy::from(&terms(Placement::Central));
        let hostile = [
            v1::DifferentialPrivacy { placement: 9, ..wire() },
            v1::DifferentialPrivacy { noise_multiplier: 0.0, ..wire() },
            v1::DifferentialPrivacy { clip: f64::NAN, ..wire() },
            v1::DifferentialPrivacy { sampling_rate: 0.5, ..wire() },
            v1::DifferentialPrivacy { steps: 0, ..wire() },
            v1::DifferentialPrivacy { steps: 2, ..wire() },
            v1::DifferentialPrivacy { epsilon: f64::INFINITY, ..wire() },
            v1::DifferentialPrivacy { delta: 1.0, ..wire() },
            v1::DifferentialPrivacy { accountant: "none".to_owned(), ..wire() },
        ];
        for wire in hostile {
            assert!(PrivacyTerms::try_from(wire.clone()).is_err(), "{wire:?}");
        }
    }
}
