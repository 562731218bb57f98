use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

fn multiplier(z: f64) -> NoiseMultiplier {
    NoiseMultiplier::new(z).unwrap()
}

fn keystream() -> Keystream {
    Keystream::new(ChaCha20Rng::from_seed([9; 32]))
}

#[test]
fn update_and_bit_together_are_one_mechanism_of_the_multiplier() {
    for (z, bit_noise) in [(1.0, 5.0), (0.3, 0.151), (37.0, 100.0), (1.0, 0.5 + 1e-9)] {
        let clipping = AdaptiveClipping::new(multiplier(z), bit_noise, 0.5, 0.2).unwrap();
        let inverse = clipping.update_noise().get().powi(-2) + (2.0 * bit_noise).powi(-2);
        assert!((inverse * z * z - 1.0).abs() < 1e-9, "{z} {bit_noise}");
        // As one vector: length over noise is that of the one mechanism.
        let norm = ClipNorm::new(0.7).unwrap();
        let joint = clipping.update_noise().get() * 0.7 / clipping.joint_norm(norm);
        assert!((joint / z - 1.0).abs() < 1e-9);
    }
}

#[test]
fn a_count_that_takes_everything_is_refused_and_what_works_is_named() {
    for bit_noise in [0.5, 0.25, 0.01] {
        let error = AdaptiveClipping::new(multiplier(1.0), bit_noise, 0.5, 0.2).unwrap_err();
        let AdaptiveError::NothingLeft { works, .. } = error else { panic!("{error}") };
        let clipping = AdaptiveClipping::new(multiplier(1.0), works, 0.5, 0.2).unwrap();
        assert!((clipping.update_noise().get() - 1.1547).abs() < 1e-4);
        assert!(error.to_string().contains("more than 0.5 on the count; 1 works"), "{error}");
    }
    assert!(AdaptiveClipping::for_cohort(multiplier(1.0), 10).is_err());
    assert!(AdaptiveClipping::for_cohort(multiplier(1.0), 11).is_ok());
}

#[test]
fn numbers_out_of_range_are_refused() {
    let new = |noise, quantile, rate| AdaptiveClipping::new(multiplier(1.0), noise, quantile, rate);
    for bad in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
        assert!(
            new(bad, 0.5, 0.2).is_err() && new(5.0, bad, 0.2).is_err() && new(5.0, 0.5, bad).is_err(),
            "{bad}"
        );
    }
    assert!(new(5.0, 1.0, 0.2).is_err());
}

#[test]
fn the_norm_finds_the_median_of_the_cohorts_norms() {
    let clipping = AdaptiveClipping::for_cohort(multiplier(1.0), 100).unwrap();
    let norms: Vec<f64> = (1..=100).map(|n| f64::from(n) * 0.03).collect();
    for start in [0.01, 100.0] {
        let (mut norm, mut stream) = (ClipNorm::new(start).unwrap(), keystream());
        for _ in 0..150 {
            let bits = norms.iter().map(|length| clipping.contribution(*length <= norm.get())).sum();
            let fraction = clipping.noisy_fraction(bits, 100, &mut stream).unwrap();
            norm = clipping.next(norm, fraction);
        }
        assert!((1.2..1.8).contains(&norm.get()), "from {start} to {norm}");
    }
}

#[test]
fn the_fractions_noise_is_that_of_the_count() {
    let clipping = AdaptiveClipping::for_cohort(multiplier(1.0), 200).unwrap();
    let mut stream = keystream();
    let draw = |_| clipping.noisy_fraction(-60.0, 200, &mut stream).unwrap();
    let fractions: Vec<f64> = (0..2_000).map(draw).collect();
    let mean = fractions.iter().sum::<f64>() / 2e3;
    let variance = fractions.iter().map(|fraction| (fraction - 0.2).powi(2)).sum::<f64>() / 2e3;
    // Five standard errors of a noise of 10 in 200.
    assert!(
        (mean - 0.2).abs() < 5.0 * 0.05 / 2e3_f64.sqrt() && (variance / 0.0025 - 1.0).abs() < 0.16,
        "{mean} {variance}"
    );
    assert!(clipping.noisy_fraction(0.0, 0, &mut stream).is_err());
}

#[test]
fn noise_that_leaves_the_range_moves_the_norm_no_further_than_a_cohort_can() {
    let clipping = AdaptiveClipping::for_cohort(multiplier(1.0), 100).unwrap();
    let norm = ClipNorm::new(1.0).unwrap();
    assert_eq!(clipping.next(norm, 57.0), clipping.next(norm, 1.0));
    assert_eq!(clipping.next(norm, f64::NAN), norm);
    assert!((clipping.next(norm, 0.0).get() - 0.1_f64.exp()).abs() < 1e-12);
}
