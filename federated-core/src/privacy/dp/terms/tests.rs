use super::*;
use crate::privacy::dp::{Delta, Epsilon};

fn proposal(placement: Placement) -> Proposal {
    Proposal {
        placement,
        adjacency: Adjacency::AddRemove,
        clip: ClipNorm::new(1.0).unwrap(),
        noise_multiplier: NoiseMultiplier::new(1.0).unwrap(),
        sampling_rate: SamplingRate::FULL,
        steps: NonZeroU32::MIN,
        epsilon: Epsilon::new(4.0).unwrap(),
        delta: Delta::new(1e-5).unwrap(),
        accountant: Proposal::accountant(placement, SamplingRate::FULL),
    }
}

fn rounds(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

#[test]
fn calibrated_noise_pays_for_all_rounds_and_for_no_more() {
    for placement in Placement::ALL {
        for adjacency in [Adjacency::AddRemove, Adjacency::ReplaceOne] {
            let proposal = Proposal { adjacency, ..proposal(placement) }.calibrated(rounds(30)).unwrap();
            let terms = proposal.check().unwrap();
            let spent = |rounds: u32| {
                let steps = terms.charge().steps().to_vec();
                let steps = steps
                    .into_iter()
                    .map(|step| MechanismStep { rounds: rounds.try_into().unwrap(), ..step });
                let budget = terms.budget();
                budget.accountant.epsilon(&steps.collect(), budget.delta).unwrap().epsilon
            };
            assert!(spent(30) <= 4.0 && spent(31) > 4.0, "{placement} {adjacency:?}");
        }
    }
}

#[test]
fn a_delta_that_noise_on_a_grid_would_use_up_is_refused() {
    let terms = proposal(Placement::Local).check().unwrap();
    assert_eq!(terms.check_grid(1_000_000_000, rounds(100)), Ok(()));
    let fine = Proposal { delta: Delta::new(1e-12).unwrap(), ..proposal(Placement::Local) }.check().unwrap();
    let refused = fine.check_grid(1_000_000, rounds(1_000)).unwrap_err();
    assert!(refused.to_string().contains("expected a delta of at least 1.5e-"), "{refused}");
}

#[test]
fn a_site_counts_a_participants_noise_for_its_records_at_half() {
    let local = proposal(Placement::Local).check().unwrap();
    assert_eq!(local.site_charge(), local.charge());
    let central = proposal(Placement::Central).check().unwrap();
    let noise = |charge: Composition| charge.steps()[0].noise_multiplier.get();
    assert!((noise(central.site_charge()) - 0.5).abs() < 1e-12);
    assert!((noise(central.charge()) - 1.0).abs() < 1e-12);
}

#[test]
fn what_makes_no_sense_together_is_refused_also_when_it_is_read() {
    let half = SamplingRate::new(0.5).unwrap();
    let cases = [
        Proposal { sampling_rate: half, ..proposal(Placement::Central) },
        Proposal { steps: rounds(2), ..proposal(Placement::Distributed) },
        Proposal { sampling_rate: half, adjacency: Adjacency::ReplaceOne, ..proposal(Placement::Local) },
        Proposal { accountant: Accountant::Pld, ..proposal(Placement::Distributed) },
    ];
    for case in cases {
        assert!(case.check().is_err(), "{case:?}");
        assert!(toml::from_str::<PrivacyTerms>(&toml::to_string(&case).unwrap()).is_err());
    }
    let terms = proposal(Placement::Local).check().unwrap();
    assert_eq!(toml::from_str::<PrivacyTerms>(&toml::to_string(&terms).unwrap()).unwrap(), terms);
}
