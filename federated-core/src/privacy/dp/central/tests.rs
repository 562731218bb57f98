use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

fn noise(multiplier: f64, asked: u32) -> CentralNoise {
    let (multiplier, clip) = (NoiseMultiplier::new(multiplier).unwrap(), ClipNorm::new(2.0).unwrap());
    CentralNoise::new(multiplier, clip, asked, 10_000).unwrap()
}

#[test]
fn an_update_is_clipped_to_the_norm_and_left_alone_below_it() {
    let noise = noise(1.0, 4);
    assert!((noise.factor(1.0) - 1.0).abs() < f32::EPSILON);
    let clipped = f64::from(noise.factor(100.0)) * 10.0;
    assert!((1.999..=2.0).contains(&clipped), "{clipped}");
    assert!(noise.factor(f64::INFINITY).abs() < f32::EPSILON);
}

/// 10,000 values of standard deviation 1.5 about 0.75: the mean's is 0.015, and the sample deviation's about 0.0106. Bounds
/// are six of them: a false alarm in 500 million, and the seed is fixed.
#[test]
fn the_mean_is_over_all_who_were_asked_and_its_noise_is_the_multiplier_times_their_share() {
    let noise = noise(3.0, 4);
    assert!((noise.sigma() - 1.5).abs() < 1e-4, "{}", noise.sigma());
    let mut mean = vec![1.0; 10_000];
    noise.apply(&mut mean, 3, &mut Keystream::new(ChaCha20Rng::from_seed([5; 32]))).unwrap();
    let values: Vec<f64> = mean.into_iter().map(f64::from).collect();
    let average = values.iter().sum::<f64>() / 1e4;
    let deviation = (values.iter().map(|value| (value - average).powi(2)).sum::<f64>() / 1e4).sqrt();
    assert!((average - 0.75).abs() < 0.09, "{average}");
    assert!((deviation - 1.5).abs() < 0.064, "{deviation}");
}
