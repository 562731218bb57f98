//! The exact samplers beside opendp's, which are another implementation: two samples, one distribution.
//!
//! opendp's generator cannot be seeded. Of right samplers, one comparison in a thousand million fails (six standard
//! deviations).

use std::collections::BTreeMap;

use dashu::rational::RBig;
use federated_core::privacy::dp::{DiscreteGaussian, Keystream, Variance};
use opendp::traits::samplers::sample_discrete_gaussian;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

const OURS: usize = 200_000;
const THEIRS: usize = 20_000;

/// The two-sample chi-squared statistic over cells of at least 20 samples, as standard deviations of a normal.
fn deviations(ours: &[i64], theirs: &[i64], width: i64) -> f64 {
    let mut counts = BTreeMap::<i64, (f64, f64)>::new();
    ours.iter().for_each(|y| counts.entry(y.div_euclid(width)).or_default().0 += 1.0);
    theirs.iter().for_each(|y| counts.entry(y.div_euclid(width)).or_default().1 += 1.0);
    let ratio = (OURS as f64 / THEIRS as f64).sqrt();
    let (mut statistic, mut cells, mut a, mut b) = (0.0, 0.0, 0.0, 0.0);
    for (one, other) in counts.into_values() {
        (a, b) = (a + one, b + other);
        if a + b >= 20.0 * (1.0 + ratio * ratio) {
            statistic += (a / ratio - b * ratio) * (a / ratio - b * ratio) / (a + b);
            cells += 1.0;
            (a, b) = (0.0, 0.0);
        }
    }
    let freedom: f64 = cells - 1.0;
    let spread = 2.0 / (9.0 * freedom);
    ((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

fn compare(sigma: f64, scale: f64, width: i64) -> f64 {
    let mut ours = vec![0; OURS];
    let mut stream = Keystream::new(ChaCha20Rng::from_seed([4; 32]));
    DiscreteGaussian::new(Variance::of_sigma(sigma).unwrap()).fill(&mut ours, &mut stream);
    let scale = RBig::try_from(scale).unwrap();
    let theirs: Vec<i64> =
        (0..THEIRS).map(|_| sample_discrete_gaussian(scale.clone()).unwrap().try_into().unwrap()).collect();
    deviations(&ours, &theirs, width)
}

#[test]
fn the_discrete_gaussian_is_opendps_at_four_sigmas() {
    for (sigma, width) in [(0.5, 1), (2.0, 1), (50.0, 1), (100_000.0, 2_000)] {
        let found = compare(sigma, sigma, width);
        assert!(found < 6.0, "sigma {sigma}: {found} deviations");
    }
}

#[test]
fn a_tenth_more_or_less_is_found() {
    assert!(compare(50.0, 55.0, 1) > 6.0);
}
