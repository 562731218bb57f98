use super::*;

const SAMPLES: usize = 400_000;

#[test]
fn the_discrete_gaussian_has_its_mass_at_four_sigmas() {
    for (seed, (sigma, width)) in (1..).zip([(0.5, 1), (2.0, 1), (50.0, 1), (123_456.7, 2_000)]) {
        let noise = DiscreteGaussian::new(Variance::of_sigma(sigma).unwrap());
        let mut samples = vec![0; SAMPLES];
        noise.fill(&mut samples, &mut keystream(seed));
        let reach = whole(9.0 * sigma) + 4;
        let found = deviations(cells(&samples, -reach, &gaussian(sigma * sigma, reach), width));
        assert!(found < 5.0, "sigma {sigma}: {found} deviations");
    }
}

#[test]
fn chi_squared_finds_a_sigma_that_is_off_by_a_fiftieth() {
    let noise = DiscreteGaussian::new(Variance::of_sigma(50.0).unwrap());
    let mut samples = vec![0; SAMPLES];
    noise.fill(&mut samples, &mut keystream(5));
    assert!(deviations(cells(&samples, -500, &gaussian(51.0 * 51.0, 500), 1)) > 5.0);
}

#[test]
fn skellam_has_its_mass_at_four_variances() {
    for (seed, variance) in (11..).zip([0.5, 8.0, 900.0, 20_000.0]) {
        let noise = Skellam::new(Variance::at_least(variance).unwrap()).unwrap();
        let mut samples = vec![0; SAMPLES];
        noise.fill(&mut samples, &mut keystream(seed));
        let reach = whole(9.0 * variance.sqrt()) + 12;
        let one = poisson(variance / 2.0, whole(variance / 2.0) + reach + 12);
        let mass = |y: i64| {
            one.iter().skip(usize::try_from(y.abs()).unwrap()).zip(&one).map(|(a, b)| a * b).sum::<f64>()
        };
        let masses: Vec<_> = (-reach..=reach).map(mass).collect();
        let found = deviations(cells(&samples, -reach, &masses, 1));
        assert!(found < 5.0, "variance {variance}: {found} deviations");
    }
}

#[test]
fn a_wide_skellam_is_a_gaussian_in_wide_cells() {
    // The two differ by about 1 / (8 variance) of the mass, which nobody finds among 400,000 samples.
    let variance: f64 = 1e10;
    let noise = Skellam::new(Variance::at_least(variance).unwrap()).unwrap();
    let mut samples = vec![0; SAMPLES];
    noise.fill(&mut samples, &mut keystream(21));
    let reach = whole(9.0 * variance.sqrt());
    let found = deviations(cells(&samples, -reach, &gaussian(variance, reach), 2_000));
    assert!(found < 5.0, "{found} deviations");
}

#[test]
fn moments_are_those_of_the_distribution() {
    for (seed, sigma) in (31..).zip([0.7, 3.0, 1_000.0, 1_048_576.0, 67_108_864.0]) {
        let variance = Variance::of_sigma(sigma).unwrap();
        let mut samples = vec![0; SAMPLES];
        DiscreteGaussian::new(variance).fill(&mut samples, &mut keystream(seed));
        // The variance of so narrow a distribution is that of its masses.
        let masses = gaussian(sigma * sigma, 20);
        let narrow = masses.iter().zip(-20..).map(|(mass, y)| mass * f64::from(y * y)).sum::<f64>()
            / masses.iter().sum::<f64>();
        moments(&samples, if sigma < 2.0 { narrow } else { sigma * sigma }, 3.0);
        Skellam::new(variance).unwrap().fill(&mut samples, &mut keystream(seed + 10));
        moments(&samples, sigma * sigma, 3.0 + 1.0 / (sigma * sigma));
    }
}

/// Mean, variance, skewness and the fourth moment, each within five standard errors or nearly so.
fn moments(samples: &[i64], variance: f64, kurtosis: f64) {
    let count = samples.len() as f64;
    let moment =
        |power: i32| samples.iter().map(|y| (*y as f64 / variance.sqrt()).powi(power)).sum::<f64>() / count;
    let errors = 5.0 / count.sqrt();
    assert!(moment(1).abs() < errors, "mean of {variance}: {}", moment(1));
    assert!(
        (moment(2) - 1.0).abs() < errors * (kurtosis - 1.0).sqrt(),
        "variance of {variance}: {}",
        moment(2)
    );
    assert!(
        moment(3).abs() < errors * 12.0 * (kurtosis / 3.0).powi(2),
        "skewness of {variance}: {}",
        moment(3)
    );
    if variance > 1.0 {
        assert!((moment(4) - kurtosis).abs() < errors * 15.0, "fourth moment of {variance}: {}", moment(4));
    }
}

#[test]
fn a_vector_is_given_the_same_noise_whole_and_in_pieces() {
    let noise = DiscreteGaussian::new(Variance::of_sigma(9.0).unwrap());
    let (mut whole, mut pieces) = (vec![0; 3_000], vec![0; 3_000]);
    noise.fill(&mut whole, &mut keystream(41));
    let mut stream = keystream(41);
    pieces.chunks_mut(7).for_each(|piece| noise.fill(piece, &mut stream));
    assert_eq!(whole, pieces);
    noise.fill(&mut pieces, &mut keystream(42));
    assert_ne!(whole, pieces);
}

#[test]
fn a_seed_gives_the_same_noise_on_every_machine() {
    let mut stream = keystream(43);
    let noise = DiscreteGaussian::new(Variance::of_sigma(1_000.0).unwrap());
    let first: Vec<_> = (0..6).map(|_| noise.sample(&mut stream)).collect();
    assert_eq!(first, [164, 548, -912, -271, -1_607, 1_561]);
}

#[test]
fn a_variance_is_never_below_what_was_asked_for() {
    for sigma in [9.6e-7, 0.1, 0.5, 1.0, 1.1, 3.3, 1e3, 12_345.678, 1e8] {
        let variance = Variance::of_sigma(sigma).unwrap();
        let (n, d) = (variance.numerator() as f64, variance.denominator() as f64);
        assert!(
            n / d >= sigma * sigma * (1.0 - 1e-15) && n / d <= sigma * sigma * (1.0 + 1e-6),
            "{sigma}: {variance}"
        );
    }
    for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY, 3e8, 1e-7] {
        assert!(Variance::of_sigma(sigma).is_err(), "{sigma}");
    }
    assert!(
        Variance::new(0, 1).is_err() && Variance::new(1, 0).is_err() && Variance::new(u64::MAX, 1).is_err()
    );
}
