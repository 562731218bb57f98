use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

fn matrix(bands: u32) -> BandedSquareRoot {
    BandedSquareRoot::new(NonZeroU32::new(bands).unwrap())
}

fn noise(bands: u32, participations: u32, dimension: usize) -> CorrelatedNoise {
    let (multiplier, norm) = (NoiseMultiplier::new(1.5).unwrap(), ClipNorm::new(2.0).unwrap());
    let participations = NonZeroU32::new(participations).unwrap();
    CorrelatedNoise::new(matrix(bands), multiplier, norm, participations, dimension).unwrap()
}

fn keystream(seed: u8) -> Keystream {
    Keystream::new(ChaCha20Rng::from_seed([seed; 32]))
}

#[test]
fn prefix_sums_err_as_the_table_says() {
    for (separation, independent, banded) in
        [(2, 50.2, 37.8), (5, 31.8, 16.9), (10, 22.5, 9.6), (20, 15.9, 5.8)]
    {
        let error = |bands: u32| {
            let often = matrix(separation).participations(100);
            matrix(bands).prefix_error(100) * matrix(bands).sensitivity(often)
        };
        assert!((error(1) - independent).abs() < 0.06, "{separation}: {}", error(1));
        assert!((error(separation) - banded).abs() < 0.06, "{separation}: {}", error(separation));
    }
    // With full participation there is one band, and it is independent noise.
    assert_eq!(matrix(1).participations(100), 100);
}

#[test]
fn coefficients_are_those_of_the_square_root() {
    // The square of the square root of 1/(1 - x) is 1/(1 - x): all ones.
    let c = matrix(30).coefficients;
    assert_eq!(&c[..4], &[1.0, 0.5, 0.375, 0.3125]);
    for n in 0..30 {
        let square: f64 = (0..=n).map(|k| c[k] * c[n - k]).sum();
        assert!((square - 1.0).abs() < 1e-12);
    }
}

#[test]
fn noise_times_the_matrix_is_independent_again() {
    let (bands, rounds, dimension) = (4_usize, 30, 2_000);
    let mut noise = noise(4, 8, dimension);
    let mut stream = keystream(1);
    let mut vectors = Vec::new();
    for _ in 0..rounds {
        let mut values = vec![0.0; dimension];
        noise.add(&mut values, &mut stream).unwrap();
        vectors.push(values);
    }
    let c = matrix(4).coefficients;
    let z: Vec<Vec<f64>> = (0..rounds)
        .map(|t| {
            (0..dimension)
                .map(|i| (0..bands.min(t + 1)).map(|k| c[k] * f64::from(vectors[t - k][i])).sum())
                .collect()
        })
        .collect();
    let mean = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / dimension as f64;
    let variance = noise.sigma() * noise.sigma();
    // Five standard errors.
    let error = 5.0 / (dimension as f64).sqrt();
    for t in 0..rounds {
        assert!((mean(&z[t], &z[t]) / variance - 1.0).abs() < error * 1.5, "round {t}");
        for earlier in 0..t {
            assert!((mean(&z[t], &z[earlier]) / variance).abs() < error, "rounds {earlier} and {t}");
        }
    }
}

#[test]
fn what_is_summed_over_rounds_has_the_predicted_error() {
    let (rounds, dimension) = (40, 3_000);
    let mut noise = noise(10, 4, dimension);
    let mut stream = keystream(2);
    let (mut prefix, mut total) = (vec![0.0; dimension], 0.0);
    for _ in 0..rounds {
        let mut values = vec![0.0; dimension];
        noise.add(&mut values, &mut stream).unwrap();
        prefix.iter_mut().zip(&values).for_each(|(sum, value)| *sum += f64::from(*value));
        total += prefix.iter().map(|sum| sum * sum).sum::<f64>() / dimension as f64;
    }
    let found = (total / f64::from(rounds)).sqrt();
    let expected = matrix(10).prefix_error(40) * noise.sigma();
    assert!((found / expected - 1.0).abs() < 0.03, "{found} {expected}");
}

#[test]
fn sigma_covers_all_participations_and_the_grid() {
    for bands in [1, 2, 20] {
        let noise = noise(bands, 5, 1_000_000);
        let ideal = 1.5 * 2.0 * matrix(bands).sensitivity(5);
        assert!(noise.sigma() >= ideal && noise.sigma() < ideal * 1.001, "{} {ideal}", noise.sigma());
    }
}

#[test]
fn a_round_that_is_refused_uses_no_noise() {
    let (mut one, mut other) = (noise(3, 2, 2), noise(3, 2, 2));
    let (mut first, mut second) = (keystream(3), keystream(3));
    for round in 0..6 {
        assert!(one.add(&mut [1.0, f32::NAN], &mut first).is_err());
        assert!(one.add(&mut [1.0], &mut first).is_err());
        let (mut values, mut same) = ([round as f32, 2.0], [round as f32, 2.0]);
        one.add(&mut values, &mut first).unwrap();
        other.add(&mut same, &mut second).unwrap();
        assert_eq!(values.map(f32::to_bits), same.map(f32::to_bits));
    }
}
