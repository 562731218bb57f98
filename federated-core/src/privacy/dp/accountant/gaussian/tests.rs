use std::num::NonZeroU32;

use super::*;
use crate::privacy::dp::{NoiseMultiplier, SamplingRate, accountant::MechanismStep};

fn rounds(noise: f64, rounds: u32) -> Composition {
    Composition::from(MechanismStep {
        noise_multiplier: NoiseMultiplier::new(noise).unwrap(),
        sampling_rate: SamplingRate::FULL,
        rounds: NonZeroU32::new(rounds).unwrap(),
    })
}

/// Noise multiplier, rounds, delta, epsilon. From mpmath 1.4.1: the formula bisected with 60 digits.
const EPSILONS: [(f64, u32, f64, f64); 10] = [
    (10.0, 100, 1e-5, 4.377_178_095_681_224_6),
    (5.0, 10, 1e-6, 2.921_600_590_427_045_9),
    (1.0, 1, 1e-5, 4.377_178_095_681_224_6),
    (37.0, 100, 1e-5, 1.009_095_650_212_287_9),
    (0.5, 1000, 1e-5, 2_268.767_721_629_270_2),
    (1e6, 1, 1e-9, 2.717_805_928_797_222_8e-6),
    (1000.0, 1, 1e-12, 5.699_546_468_426_282e-3),
    (2.0, 50, 1e-100, 81.139_258_933_826_4),
    (20.0, 3, 1e-300, 3.197_940_282_341_488),
    (0.05, 1, 0.3, 209.501_668_906_845_4),
];

/// Noise multiplier, rounds, epsilon, delta. From mpmath 1.4.1 with 60 digits.
const DELTAS: [(f64, u32, f64, f64); 7] = [
    (10.0, 100, 1.0, 0.126_936_737_506_643_95),
    (1.0, 1, 0.1, 0.352_325_171_681_366_57),
    (1e6, 1, 1e-6, 8.331_551_224_542_54e-8),
    (1.0, 1, 30.0, 4.709_326_318_097_522e-193),
    (1000.0, 1, 0.03, 1.656_620_395_042_851_9e-202),
    (0.1, 1, 20.0, 0.998_029_181_464_627_6),
    (3.0, 1, 11.0, 9.881_474_260_404_044e-239),
];

#[test]
fn epsilon_is_exact_to_nine_digits_and_never_below() {
    for (noise, count, delta, expected) in EPSILONS {
        let found = epsilon(&rounds(noise, count), Delta::new(delta).unwrap()).unwrap();
        assert!(found >= expected, "{noise} {count} {delta}: {found} {expected}");
        assert!(found <= expected * (1.0 + 1e-9), "{noise} {count} {delta}: {found} {expected}");
    }
}

#[test]
fn delta_is_exact_to_nine_digits_and_never_below() {
    for (noise, count, epsilon, expected) in DELTAS {
        let found = super::delta(&rounds(noise, count), Epsilon::new(epsilon).unwrap()).unwrap();
        assert!(found >= expected, "{noise} {count} {epsilon}: {found} {expected}");
        assert!(found <= expected * (1.0 + 1e-9), "{noise} {count} {epsilon}: {found} {expected}");
    }
}

#[test]
fn rounds_with_different_noise_are_one_round_with_less() {
    let steps = [(3.0, 9), (4.0, 16)].map(|(noise, count)| rounds(noise, count).steps()[0]);
    let delta = Delta::new(1e-7).unwrap();
    let together = epsilon(&steps.into_iter().collect(), delta).unwrap();
    let one = epsilon(&rounds(std::f64::consts::FRAC_1_SQRT_2, 1), delta).unwrap();
    assert!((together / one - 1.0).abs() < 1e-12, "{together} {one}");
}

#[test]
fn nothing_released_spends_nothing_and_a_large_delta_needs_no_epsilon() {
    assert!(epsilon(&Composition::default(), Delta::new(1e-300).unwrap()).unwrap() <= 0.0);
    assert!(super::delta(&Composition::default(), Epsilon::new(1e-9).unwrap()).unwrap() <= 0.0);
    assert!(epsilon(&rounds(100.0, 1), Delta::new(0.1).unwrap()).unwrap() <= 0.0);
}

#[test]
fn where_a_delta_underflows_it_is_still_above_zero() {
    let found = super::delta(&rounds(1.0, 1), Epsilon::new(1e4).unwrap()).unwrap();
    assert!(found > 0.0 && found < 1e-300);
}

#[test]
fn sampled_rounds_are_not_counted_as_full_ones() {
    let mut step = rounds(1.0, 5).steps()[0];
    step.sampling_rate = SamplingRate::new(0.5).unwrap();
    let error = epsilon(&step.into(), Delta::new(1e-5).unwrap()).unwrap_err();
    assert_eq!(error, AccountantError::Sampled { found: step.sampling_rate });
}
