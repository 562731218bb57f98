use proptest::prelude::*;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::*;

fn delta(number: f64) -> Delta {
    Delta::new(number).unwrap()
}

fn near(found: f64, expected: f64) -> bool {
    (found / expected - 1.0).abs() < 1e-9
}

/// From binomial coefficients in decimal numbers of 60 digits, by the formula of the paper's appendix D.
#[test]
fn the_chance_of_so_many_right_guesses_is_known() {
    for (canaries, guessed, right, epsilon, of, expected) in [
        (1_000, 100, 80, 1.0, 1e-5, 0.073_009_115_949_177_72),
        (1_000, 300, 220, 0.7, 1e-5, 0.009_497_474_916_744_694),
        (50, 50, 50, 2.0, 1e-6, 0.001_763_862_787_910_288_2),
        (2_000, 400, 399, 4.0, 1e-5, 0.009_885_147_468_800_322),
        (10, 10, 3, 1.0, 0.01, 0.999_417_624_429_625_9),
    ] {
        let found = Guesses::new(canaries, guessed, right).unwrap().p_value(epsilon, delta(of));
        assert!(near(found, expected), "{canaries} {guessed} {right} {epsilon}: {found}");
    }
}

#[test]
fn the_bound_of_so_many_right_guesses_is_known() {
    for (canaries, guessed, right, expected) in [
        (1_000, 100, 80, 0.955_318_534_955_255_4),
        (1_000, 300, 300, 4.574_605_192_298_249),
        (1_000, 300, 200, 0.485_037_461_381_274_4),
    ] {
        let guesses = Guesses::new(canaries, guessed, right).unwrap();
        let found = guesses.epsilon_at_least(delta(1e-5), 0.95).unwrap();
        assert!(near(found, expected), "{canaries} {guessed} {right}: {found}");
    }
    let coins = Guesses::new(1_000, 300, 155).unwrap();
    assert!(coins.epsilon_at_least(delta(1e-5), 0.95).unwrap() <= 0.0, "no better than a coin");
    // With a delta of nothing, all right is q^r = 0.05.
    let perfect = Guesses::new(100, 100, 100).unwrap().epsilon_at_least(delta(1e-300), 0.95).unwrap();
    let q = 0.05_f64.powf(0.01);
    assert!(near(perfect, (q / (1.0 - q)).ln()), "{perfect}");
}

/// Randomised response keeps to its epsilon exactly, so that the bound is above it in one audit of twenty at most: 20 of
/// 400, with a standard deviation of 4.4. Above 46 are 6 deviations, a chance below 1e-7; the seed is fixed.
#[test]
fn the_bound_is_above_what_is_true_in_one_audit_of_twenty_at_most() {
    let mut random = ChaCha20Rng::from_seed([3; 32]);
    let epsilon = 1.0_f64;
    let q = epsilon.exp() / (1.0 + epsilon.exp());
    let (mut above, mut sum) = (0, 0.0);
    for _ in 0..400 {
        let right = (0..200).filter(|_| f64::from(random.next_u32()) < q * 2.0_f64.powi(32)).count();
        let guesses = Guesses::new(200, 200, u32::try_from(right).unwrap()).unwrap();
        let bound = guesses.epsilon_at_least(delta(1e-12), 0.95).unwrap();
        above += u32::from(bound > epsilon);
        sum += bound;
    }
    assert!(above <= 46, "{above} of 400");
    assert!(sum / 400.0 > 0.6, "and it is close: {}", sum / 400.0);
}

#[test]
fn the_highest_scores_are_guessed_in_and_the_lowest_out() {
    let scored = [(0.1, false), (5.0, true), (-3.0, true), (2.0, false), (4.0, true), (-9.0, false)];
    let guesses = Guesses::by_score(&scored, 2).unwrap();
    assert_eq!((guesses.canaries(), guesses.guessed(), guesses.right()), (6, 4, 3));
    assert!(matches!(Guesses::by_score(&scored, 4), Err(AuditError::Counts { canaries: 6, guessed: 8, .. })));
    let unscored = Guesses::by_score(&[(1.0, true), (f64::NAN, true)], 1).unwrap_err();
    assert_eq!(unscored.to_string(), "expected a score for each canary, found NaN for canary 1");
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    assert!(Guesses::new(10, 11, 5).is_err() && Guesses::new(10, 5, 6).is_err());
    let guesses = Guesses::new(10, 10, 10).unwrap();
    for confidence in [0.0, 1.0, f64::NAN] {
        assert!(guesses.epsilon_at_least(delta(1e-5), confidence).is_err(), "{confidence}");
    }
    let nothing = Guesses::new(0, 0, 0).unwrap();
    assert!(nothing.epsilon_at_least(delta(1e-5), 0.95).unwrap() <= 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn better_guesses_bound_higher_and_more_confidence_or_delta_lower(
        guessed in 20_u32..200, further in 0_u32..200, right in 0.5_f64..1.0,
    ) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 200")]
        let right = (f64::from(guessed - 1) * right) as u32;
        let bound = |right, of, confidence| {
            let guesses = Guesses::new(guessed + further, guessed, right).unwrap();
            guesses.epsilon_at_least(delta(of), confidence).unwrap()
        };
        let found = bound(right, 1e-6, 0.95);
        prop_assert!(found <= bound(right + 1, 1e-6, 0.95));
        prop_assert!(found >= bound(right, 1e-4, 0.95));
        prop_assert!(found >= bound(right, 1e-6, 0.99));
    }
}
