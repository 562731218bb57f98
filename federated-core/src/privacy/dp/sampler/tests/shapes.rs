//! The engine's rare ways, made common: tails that begin early, bounds that tell little.

use num_bigint::BigUint;
use proptest::prelude::*;

use super::*;
use crate::privacy::dp::sampler::{
    gaussian::Gaussian,
    poisson::Poisson,
    strips::{Bounds, Shape, Strips},
};

/// A shape whose quick bounds are wide, so that the slow ones decide.
struct Vague<S>(S);

impl<S: Shape> Shape for Vague<S> {
    fn mode(&self) -> i64 {
        self.0.mode()
    }

    fn spread(&self) -> f64 {
        self.0.spread()
    }

    fn bounds(&self, y: i64) -> Bounds {
        let Bounds { low, high } = self.0.bounds(y);
        Bounds { low: low - low / 4, high: (high + high / 4).min(1 << 64) }
    }

    fn precise(&self, y: i64, bits: u64) -> (BigUint, BigUint) {
        self.0.precise(y, bits)
    }
}

fn variance(numerator: u64, denominator: u64) -> Variance {
    Variance::new(numerator, denominator).unwrap()
}

fn check(strips: &Strips<impl Shape>, count: usize, first: i64, masses: &[f64]) {
    let mut stream = keystream(51);
    let samples: Vec<_> = (0..count).map(|_| strips.draw(&mut stream)).collect();
    let found = deviations(cells(&samples, first, masses, 1));
    assert!(found < 5.0, "{found} deviations");
}

#[test]
fn tails_that_hold_most_of_the_distribution_change_nothing_of_it() {
    for (variance, reach) in [(variance(9, 4), 20), (variance(5_000, 1), 700)] {
        let strips = Strips::with_edge(Gaussian::new(variance), 1 << 63);
        check(&strips, 40_000, -reach, &gaussian(variance.to_f64(), reach));
    }
    let strips = Strips::with_edge(Poisson::new(variance(700, 2)), 1 << 63);
    check(&strips, 20_000, 0, &poisson(350.0, 600));
}

#[test]
fn the_slow_decision_is_the_quick_one() {
    let strips = Strips::new(Vague(Gaussian::new(variance(2_500, 1))));
    check(&strips, 40_000, -500, &gaussian(2_500.0, 500));
    let strips = Strips::new(Vague(Poisson::new(variance(500, 1))));
    check(&strips, 10_000, 0, &poisson(500.0, 800));
}

#[test]
fn most_samples_are_decided_by_two_words() {
    for sigma in [0.5, 2.0, 50.0, 1e6] {
        let strips = Strips::new(Gaussian::new(Variance::of_sigma(sigma).unwrap()));
        let mut stream = keystream(52);
        let sum = (0..100_000).fold(0_i64, |sum, _| sum.wrapping_add(strips.draw(&mut stream)));
        assert_ne!(sum, i64::MAX);
        assert!(stream.used() < 1_800_000, "{sigma}: {} bytes", stream.used());
    }
}

fn agree(shape: &impl Shape, y: i64) -> Result<(), TestCaseError> {
    let Bounds { low, high } = shape.bounds(y);
    let (least, most) = shape.precise(y, 128);
    prop_assert!(BigUint::from(low) << 64 <= least, "{low} at {y}");
    prop_assert!(BigUint::from(high) << 64 >= most, "{high} at {y}");
    Ok(())
}

proptest! {
    #[test]
    fn the_quick_bounds_of_a_gaussian_hold(
        numerator in 1..1_u64 << 40, denominator in 1..1_u64 << 20, off in -10.0..10.0_f64,
    ) {
        let variance = variance(numerator, denominator);
        let gaussian = Gaussian::new(variance);
        let y = whole(off * variance.sigma());
        agree(&gaussian, y)?;
        prop_assert!(gaussian.bounds(y).high - gaussian.bounds(y).low < 200);
        agree(&gaussian, i64::MAX)?;
        agree(&gaussian, 1 << 32)?;
    }

    #[test]
    fn the_quick_bounds_of_a_poisson_hold(
        numerator in 1..1_u64 << 28, denominator in 1..1_u64 << 20, off in -10.0..10.0_f64,
    ) {
        let mean = variance(numerator, denominator);
        let poisson = Poisson::new(mean);
        let y = poisson.mode() + whole(off * mean.sigma());
        agree(&poisson, y)?;
        agree(&poisson, poisson.mode() * 2 + 100)?;
        agree(&poisson, 0)?;
        agree(&poisson, -1)?;
    }

    #[test]
    fn a_large_poisson_is_bounded_far_out(mean in 4_096..100_000_u64, k in 0..200_000_i64) {
        agree(&Poisson::new(variance(mean, 1)), k)?;
    }

    #[test]
    fn sampling_ends_at_every_variance(numerator in 1..1_u64 << 56, denominator in 1..u64::MAX, seed in 0..=255_u8) {
        let gaussian = DiscreteGaussian::new(variance(numerator, denominator));
        let mut stream = keystream(seed);
        let most = (0..50).map(|_| gaussian.sample(&mut stream).unsigned_abs()).max().unwrap_or(0);
        prop_assert!(most as f64 <= 12.0 * gaussian.variance().sigma() + 1.0);
    }
}
