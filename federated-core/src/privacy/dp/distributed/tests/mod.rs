use proptest::prelude::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;
use crate::privacy::dp::{
    Delta, DiscreteGaussian, Keystream, NoiseMultiplier, RdpCurve, SamplingRate, Skellam,
};

fn keystream(seed: u8) -> Keystream {
    Keystream::new(ChaCha20Rng::from_seed([seed; 32]))
}

fn is_near(found: f64, expected: f64) -> bool {
    (found / expected - 1.0).abs() < 1e-6
}

/// d = 1024, D2 = 50, D1 = 1600.
fn norms() -> RoundedNorms {
    RoundedNorms::of(18.0, 1_024.0, 50.0)
}

#[test]
fn the_distributed_gaussian_gives_the_known_divergences() {
    assert!(is_near(norms().one(), 1_600.0));
    for (sigma, expected) in [(1.0, 100.5609), (0.5, 10_334.0)] {
        let share = NoiseShare::new(100.0 * sigma * sigma, 100, 0.0).unwrap();
        let found = DistributedGaussian::unchecked(share, norms()).rdp(8.0);
        assert!((found / expected - 1.0).abs() < 1e-5, "{found}");
        assert!(DistributedGaussian::new(share, norms()).is_err(), "{sigma} steps are too few");
    }
}

#[test]
fn skellam_gives_the_known_divergences() {
    for (variance, expected) in [(100.0, 101.1775), (2_500.0, 4.001_884)] {
        let share = NoiseShare::new(variance, 100, 0.0).unwrap();
        let found = DistributedSkellam::new(share, norms()).rdp(8.0);
        assert!(is_near(found, expected), "{found}");
    }
}

#[test]
fn a_divergence_is_that_of_the_gaussian_once_shares_are_wide() {
    let share = NoiseShare::new(100.0 * 9.0, 100, 0.0).unwrap();
    let (gaussian, skellam) =
        (DistributedGaussian::new(share, norms()).unwrap(), DistributedSkellam::new(share, norms()));
    let ideal = 8.0 * 2_500.0 / (2.0 * 900.0);
    assert!(gaussian.tau() < 1e-30);
    assert!(is_near(gaussian.rdp(8.0), ideal) && gaussian.rdp(8.0) > ideal);
    assert!(skellam.rdp(8.0) > ideal && skellam.rdp(8.0) < 1.02 * ideal);
    assert!(skellam.rdp(7.5) >= skellam.rdp(8.0));
}

#[test]
fn rounds_of_shared_noise_compose_to_an_epsilon() {
    let share = NoiseShare::new(2_500.0 * 4.0, 100, 0.0).unwrap();
    let gaussian = DistributedGaussian::new(share, norms()).unwrap().curve().unwrap();
    let skellam = DistributedSkellam::new(share, norms()).curve().unwrap();
    let delta = Delta::new(1e-5).unwrap();
    // Shares this wide are as good as a Gaussian of multiplier 2.
    let rate = SamplingRate::FULL;
    let ideal =
        RdpCurve::sampled_gaussian(NoiseMultiplier::new(2.0).unwrap(), rate).times(10).epsilon(delta).epsilon;
    let found = [gaussian, skellam].map(|curve| curve.times(10).epsilon(delta).epsilon);
    assert!(found[0] >= ideal && found[0] < 1.001 * ideal, "{found:?} {ideal}");
    assert!(found[1] >= found[0] && found[1] < 1.1 * ideal, "{found:?} {ideal}");
}

#[test]
fn many_contributors_are_bounded_as_few_are_summed() {
    let tau =
        |n| DistributedGaussian::unchecked(NoiseShare::new(f64::from(n), n, 0.0).unwrap(), norms()).tau();
    let exact = |n: u32| {
        10.0 * (1..n).map(|k| (-19.739_208_802_178_716 * f64::from(k) / f64::from(k + 1)).exp()).sum::<f64>()
    };
    for n in [1, 2, 100, 10_000, 1_000_000] {
        assert!(tau(n) >= exact(n) && tau(n) <= exact(n) * 1.002 + 1e-30, "{n}: {} {}", tau(n), exact(n));
    }
}

#[test]
fn liars_and_dropouts_are_made_up_for() {
    for (survivors, liars, contributors) in
        [(12, 0.1, 11), (10, 0.1, 9), (3, 0.0, 3), (1, 0.9, 1), (100, 1.0 / 3.0, 67)]
    {
        let share = NoiseShare::new(100.0, survivors, liars).unwrap();
        assert_eq!(share.contributors(), contributors, "{survivors} {liars}");
        assert!(share.variance().to_f64() * f64::from(contributors) >= 100.0 * (1.0 - 1e-15));
    }
    for (survivors, liars) in [(0, 0.0), (3, 1.0), (3, -0.1), (3, f64::NAN)] {
        assert!(NoiseShare::new(100.0, survivors, liars).is_err());
    }
    assert!(NoiseShare::new(f64::NAN, 3, 0.0).is_err());
}

#[test]
fn the_noise_of_a_cohort_has_the_variance_that_was_asked_for() {
    let share = NoiseShare::new(400.0, 8, 0.0).unwrap();
    let (mut gaussian, mut skellam) = (vec![0; 20_000], vec![0; 20_000]);
    let mut stream = keystream(1);
    for _ in 0..8 {
        DiscreteGaussian::new(share.variance()).add(&mut gaussian, &mut stream);
        Skellam::new(share.variance()).unwrap().add(&mut skellam, &mut stream);
    }
    for sums in [gaussian, skellam] {
        let variance = sums.iter().map(|sum| (sum * sum) as f64).sum::<f64>() / 2e4;
        assert!((variance / 400.0 - 1.0).abs() < 5.0 * (2.0 / 2e4_f64).sqrt(), "{variance}");
    }
}

#[test]
fn the_scale_fills_the_modulus_and_no_more() {
    let scale_of = |bits| scale(bits, 16, 1.0, 4_096, 0.3, WRAP_MARGIN);
    let fine = scale_of(24).unwrap();
    let deviation = (fine * fine * (16.0 * 16.0 / 4_096.0 + 16.0 * 0.09) + 16.0 / 4.0).sqrt();
    assert!(is_near(deviation * 2.0 * WRAP_MARGIN, 2.0_f64.powi(24)));
    assert!(is_near(scale_of(32).unwrap() / fine, 256.0));
    let error = scale(3, 16, 1.0, 4_096, 0.3, WRAP_MARGIN).unwrap_err();
    assert_eq!(error, DistributedError::Modulus { least_bits: 3, bits: 3, participants: 16 });
    assert!(scale(24, 16, f64::NAN, 4_096, 0.3, WRAP_MARGIN).is_err());
}

proptest! {
    #[test]
    fn a_rotation_keeps_lengths_is_linear_and_is_undone(
        a in prop::collection::vec(-100_f32..100.0, 1..200), seed: [u8; 32], block in 0..8_u32,
    ) {
        let rotation = Rotation::new(seed, 1 << block).unwrap();
        let length = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let b: Vec<f32> = a.iter().rev().copied().collect();
        let (mut turned, mut other) = (a.clone(), b.clone());
        rotation.rotate(&mut turned);
        rotation.rotate(&mut other);
        prop_assert_eq!(turned.len(), rotation.padded(a.len()));
        prop_assert!((length(&turned) - length(&a)).abs() <= 1e-5 * length(&a));
        let mut sum: Vec<f32> = turned.iter().zip(&other).map(|(a, b)| a + b).collect();
        rotation.undo(&mut sum);
        for ((sum, a), b) in sum.iter().zip(&a).zip(&b) {
            prop_assert!((sum - (a + b)).abs() < 1e-3);
        }
    }

    #[test]
    fn rounded_vectors_are_never_longer_than_said(
        values in prop::collection::vec(-1_f32..1.0, 1..300), scale in 0.01..50.0_f64, seed: u8,
        beta in prop_oneof![Just(0.0), 0.01..0.99_f64],
    ) {
        let length = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt().max(1e-6);
        let norms = RoundedNorms::new(length * scale, values.len() as u64, beta).unwrap();
        prop_assert!(norms.two() <= length * scale + (values.len() as f64).sqrt() + 1e-6);
        let mut places = vec![0; values.len()];
        Rounding::new(norms).round(&values, scale, &mut places, &mut keystream(seed)).unwrap();
        let two = places.iter().map(|y| (y * y) as f64).sum::<f64>();
        let one = places.iter().map(|y| y.abs() as f64).sum::<f64>();
        prop_assert!(two <= norms.two() * norms.two() && one <= norms.one());
        for (place, value) in places.iter().zip(&values) {
            prop_assert!((*place as f64 - f64::from(*value) * scale).abs() < 1.0);
        }
    }
}

#[test]
fn a_rotation_spreads_what_is_in_one_coordinate() {
    let rotation = Rotation::new([5; 32], 1 << 10).unwrap();
    let mut values = vec![0.0; 5_000];
    values[1_500] = 32.0;
    rotation.rotate(&mut values);
    assert_eq!(values.len(), 4_096 + 1_024);
    assert!(values[1_024..2_048].iter().all(|value| (value.abs() - 1.0).abs() < 1e-6));
    assert_eq!(rotation.smallest_block(5_000), 1_024);
    assert_eq!(rotation.smallest_block(4_097), 1);
    assert!(Rotation::new([5; 32], 1_000).is_err() && Rotation::new([5; 32], 0).is_err());
}

#[test]
fn rounding_keeps_expectations_and_refuses_what_is_too_long() {
    let norms = RoundedNorms::new(10.0, 4, 0.6065).unwrap();
    let (rounding, mut stream) = (Rounding::new(norms), keystream(3));
    let mut sums = [0.0; 4];
    for _ in 0..20_000 {
        let mut places = [0; 4];
        rounding.round(&[0.25, -0.5, 3.0, 0.9], 2.0, &mut places, &mut stream).unwrap();
        sums.iter_mut().zip(places).for_each(|(sum, place)| *sum += place as f64 / 20_000.0);
    }
    // Five standard errors of a half.
    for (found, expected) in sums.iter().zip([0.5, -1.0, 6.0, 1.8]) {
        assert!((found - expected).abs() < 0.018, "{found} {expected}");
    }
    let error = rounding.round(&[6.0, 0.0, 0.0, 0.0], 2.0, &mut [0; 4], &mut stream).unwrap_err();
    assert!(matches!(error, DistributedError::NotClipped { .. }), "{error}");
    assert!(rounding.round(&[f32::NAN; 4], 2.0, &mut [0; 4], &mut stream).is_err());
    assert!(rounding.round(&[0.0; 4], 2.0, &mut [0; 3], &mut stream).is_err());
}
