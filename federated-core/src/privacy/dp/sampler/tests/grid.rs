use super::*;
use crate::privacy::dp::{ClipNorm, NoiseMultiplier};

fn noise(multiplier: f64, sensitivity: f64, dimension: u64) -> GridNoise {
    let (multiplier, sensitivity) =
        (NoiseMultiplier::new(multiplier).unwrap(), ClipNorm::new(sensitivity).unwrap());
    GridNoise::new(multiplier, sensitivity, dimension).unwrap()
}

#[test]
fn a_grids_noise_is_a_little_more_than_asked_for_and_fine() {
    for (multiplier, sensitivity) in [(1.0, 1.0), (0.3, 7.0), (37.0, 1e-3), (1.1, 1e9), (5.0, 1e-30)] {
        for (dimension, inflation) in [(1, 2e-8), (1_000_000, 6e-5), (1_000_000_000, 2e-3)] {
            let noise = noise(multiplier, sensitivity, dimension);
            let ideal = multiplier * sensitivity;
            // The step against the sensitivity is the step against the noise, times the multiplier.
            let most = ideal * (1.0 + inflation * multiplier.max(1.0));
            assert!(noise.sigma() >= ideal && noise.sigma() <= most, "{noise:?}");
            assert!(noise.granularity() <= ideal / 67_108_864.0);
            assert!(noise.distance() < (dimension as f64).sqrt() * 2.8e-17);
        }
    }
}

#[test]
fn noised_values_lie_on_the_grid_and_have_the_grids_spread() {
    let noise = noise(2.0, 1.5, 100_000);
    let mut values = vec![0.1_f64; 100_000];
    noise.add_f64(&mut values, &mut keystream(61)).unwrap();
    assert!(values.iter().all(|value| (value / noise.granularity()).fract() == 0.0));
    let mean = values.iter().sum::<f64>() / 1e5;
    let variance = values.iter().map(|value| (value - 0.1) * (value - 0.1)).sum::<f64>() / 1e5;
    assert!((mean - 0.1).abs() < 5.0 * 3.0 / 1e5_f64.sqrt(), "{mean}");
    assert!((variance / 9.0 - 1.0).abs() < 5.0 * (2.0 / 1e5_f64).sqrt(), "{variance}");
}

#[test]
fn a_nan_is_refused_and_nothing_is_noised() {
    let noise = noise(1.0, 1.0, 3);
    for bad in [f32::NAN, f32::INFINITY, 3e38] {
        let mut values = [0.5, bad, 0.5];
        let error = noise.add(&mut values, &mut keystream(62)).unwrap_err();
        assert!(matches!(error, SamplerError::Value { place: 1, .. }), "{error}");
        assert_eq!(values[0].to_bits(), 0.5_f32.to_bits());
    }
}
