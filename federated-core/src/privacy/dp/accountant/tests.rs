use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::privacy::dp::{Delta, Epsilon, NoiseMultiplier, SamplingRate};

fn step(noise: f64, rate: f64, rounds: u32) -> MechanismStep {
    MechanismStep {
        noise_multiplier: NoiseMultiplier::new(noise).unwrap(),
        sampling_rate: SamplingRate::new(rate).unwrap(),
        rounds: NonZeroU32::new(rounds).unwrap(),
    }
}

fn spent(accountant: Accountant, steps: &[MechanismStep], delta: f64) -> f64 {
    let composition = steps.iter().copied().collect();
    accountant.epsilon(&composition, Delta::new(delta).unwrap()).unwrap().epsilon
}

/// Noise multiplier, sampling rate, rounds, delta, epsilon by RDP, its order, epsilon by PLD: from Google's dp-accounting
/// 0.6.0 (add or remove one, Poisson sampling, the default orders here, interval 1e-4).
const KNOWN: [(f64, f64, u32, f64, f64, f64, f64); 8] = [
    (1.0, 0.01, 1_000, 1e-5, 2.107_753_075_451_574_5, 8.0, 1.828_243_645_585_509_1),
    (1.1, 0.004_266_666_666_666_667, 14_062, 1e-5, 2.596_981_178_594_881_5, 8.0, 2.381_686_002_234_784),
    (0.8, 0.001, 10_000, 1e-6, 1.720_122_885_906_917, 8.0, 0.947_323_863_973_18),
    (2.0, 0.1, 200, 1e-5, 3.679_745_845_581_920_5, 6.0, 3.359_660_744_070_086_3),
    (5.0, 0.5, 100, 1e-5, 4.869_572_862_894_722, 5.0, 4.487_844_835_938_905),
    (10.0, 1.0, 100, 1e-5, 4.752_728_336_819_822, 5.0, 4.377_178_100_024_93),
    (5.0, 1.0, 10, 1e-6, 3.143_049_895_416_111_5, 8.0, 2.921_600_590_671_766),
    (1.5, 0.04, 2_250, 1e-5, 7.329_876_773_834_711, 4.0, 6.768_787_373_891_152),
];

fn mixed() -> [MechanismStep; 2] {
    [step(1.0, 0.01, 500), step(2.0, 0.05, 100)]
}

#[test]
fn known_epsilons_by_divergences_are_found_at_the_same_order() {
    for (noise, rate, rounds, delta, expected, order, _) in KNOWN {
        let found = RdpCurve::of(&step(noise, rate, rounds).into()).epsilon(Delta::new(delta).unwrap());
        assert!((found.epsilon / expected - 1.0).abs() <= 1e-5, "{noise} {rate}: {found:?} {expected}");
        assert!((found.order - order).abs() < 1e-9, "{noise} {rate}: {found:?}");
    }
    let found = spent(Accountant::Rdp, &mixed(), 1e-5);
    assert!((found / 1.973_083_785_878_648_7 - 1.0).abs() <= 1e-5, "{found}");
}

#[test]
fn known_epsilons_by_the_distribution_of_losses_are_found_and_nothing_below_them() {
    let close = |found: f64, expected: f64| expected - 1e-4 <= found && found <= expected * (1.0 + 1e-3);
    for (noise, rate, rounds, delta, _, _, expected) in KNOWN {
        let found = spent(Accountant::Pld, &[step(noise, rate, rounds)], delta);
        assert!(close(found, expected), "{noise} {rate}: {found} {expected}");
    }
    let found = spent(Accountant::Pld, &mixed(), 1e-5);
    assert!(close(found, 1.706_050_979_495_190_4), "{found}");
}

#[test]
fn the_order_in_which_steps_are_pushed_does_not_matter() {
    let steps = [step(2.0, 0.05, 30), step(1.0, 0.01, 500), step(2.0, 0.05, 70), step(1.0, 0.02, 1)];
    let (forward, backward): (Composition, Composition) =
        (steps.into_iter().collect(), steps.into_iter().rev().collect());
    assert_eq!(forward, backward);
    assert_eq!(forward.steps(), [step(1.0, 0.01, 500), step(1.0, 0.02, 1), step(2.0, 0.05, 100)]);
    assert_eq!(forward.rounds(), 601);
}

#[test]
fn more_rounds_of_a_kind_than_a_number_holds_are_still_counted() {
    let composition: Composition = [step(9.0, 1.0, u32::MAX), step(9.0, 1.0, 5)].into_iter().collect();
    assert_eq!(composition.rounds(), u64::from(u32::MAX) + 5);
}

#[test]
fn steps_are_read_as_they_are_written_in_a_file() {
    #[derive(serde::Deserialize)]
    struct File {
        steps: Composition,
    }
    let file = |text: &str| toml::from_str::<File>(&format!("steps = [{{ {text} }}]"));
    let read = file("noise_multiplier = 1, sampling_rate = 0.5, rounds = 3").unwrap().steps;
    assert_eq!(read, step(1.0, 0.5, 3).into());
    for bad in [
        "noise_multiplier = 1, sampling_rate = 0, rounds = 3",
        "noise_multiplier = -1, sampling_rate = 0.5, rounds = 3",
        "noise_multiplier = 1, sampling_rate = 0.5, rounds = 0",
        "noise_multiplier = 1, sampling_rate = 0.5",
        "noise_multiplier = 1, sampling_rate = 0.5, rounds = 3, noise = 4",
    ] {
        assert!(file(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_name_of_an_accountant_is_read_as_it_is_shown() {
    for accountant in [Accountant::Gaussian, Accountant::Rdp, Accountant::Pld] {
        assert_eq!(accountant.to_string().parse(), Ok(accountant));
    }
    let error = "moments".parse::<Accountant>().unwrap_err().to_string();
    assert_eq!(error, "expected an accountant: \"gaussian\", \"rdp\" or \"pld\", found \"moments\"");
}

#[test]
fn all_accountants_are_compared_and_the_exact_one_only_where_it_can_count() {
    let delta = Delta::new(1e-5).unwrap();
    let full = Comparison::of(&step(10.0, 1.0, 100).into(), delta).unwrap();
    let exact = full.epsilon_exact.unwrap();
    assert!(exact <= full.epsilon_pld && full.epsilon_pld <= full.epsilon_rdp, "{full:?}");
    assert_eq!(Comparison::of(&step(10.0, 0.9, 2).into(), delta).unwrap().epsilon_exact, None);
    assert_eq!(Accountant::closest(&step(10.0, 1.0, 1).into()), Accountant::Gaussian);
    assert_eq!(Accountant::closest(&mixed().into_iter().collect()), Accountant::Pld);
}

#[test]
fn next_to_no_noise_has_no_epsilon_and_very_much_spends_next_to_nothing() {
    let delta = Delta::new(1e-5).unwrap();
    for accountant in [Accountant::Gaussian, Accountant::Rdp, Accountant::Pld] {
        let error = accountant.epsilon(&step(1e-170, 1.0, 1).into(), delta).unwrap_err();
        assert_eq!(error, AccountantError::Unbounded { accountant, delta });
    }
    for rate in [1e-300, 1e-9, 1.0] {
        assert!(spent(Accountant::Rdp, &[step(1e300, rate, 1)], 1e-5) < 0.02);
        assert!(spent(Accountant::Pld, &[step(1e300, rate, 1)], 1e-5) < 1e-6, "{rate}");
    }
    assert!(spent(Accountant::Pld, &[], 1e-5) <= 0.0);
}

/// A step that a debug build composes within a second.
fn any_step() -> impl Strategy<Value = MechanismStep> {
    let rate = prop_oneof![Just(1.0), 0.01_f64..1.0];
    (1.0_f64..20.0, rate, 1_u32..100).prop_map(|(noise, rate, rounds)| step(noise, rate, rounds))
}

fn accountants(step: &MechanismStep) -> Vec<Accountant> {
    let mut all = vec![Accountant::Rdp, Accountant::Pld];
    all.extend(step.sampling_rate.is_full().then_some(Accountant::Gaussian));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn more_noise_spends_less_and_more_rounds_more(one in any_step(), delta in -12.0_f64..-3.0) {
        let delta = 10.0_f64.powf(delta);
        let noisier = step(one.noise_multiplier.get() * 1.05, one.sampling_rate.get(), one.rounds.get());
        let longer = step(one.noise_multiplier.get(), one.sampling_rate.get(), one.rounds.get() * 2);
        for accountant in accountants(&one) {
            let found = spent(accountant, &[one], delta);
            prop_assert!(spent(accountant, &[noisier], delta) <= found, "{accountant} {one:?} {found}");
            prop_assert!(spent(accountant, &[longer], delta) >= found, "{accountant} {one:?} {found}");
        }
    }

    /// The distribution of losses is the closest; the grid and rounding may cost a thousandth.
    #[test]
    fn the_accountants_are_ordered(one in any_step(), other in any_step(), delta in -12.0_f64..-3.0) {
        let (delta, steps) = (10.0_f64.powf(delta), [one, other]);
        let pld = spent(Accountant::Pld, &steps, delta);
        prop_assert!(pld <= spent(Accountant::Rdp, &steps, delta) * (1.0 + 1e-3) + 1e-4);
        if steps.iter().all(|step| step.sampling_rate.is_full()) {
            let exact = spent(Accountant::Gaussian, &steps, delta);
            prop_assert!(exact <= pld && pld <= exact * (1.0 + 1e-3) + 1e-4, "{exact} {pld}");
        }
    }

    #[test]
    fn the_delta_of_an_epsilon_of_a_delta_is_that_delta(one in any_step(), ln_delta in -25.0_f64..-7.0) {
        let delta = Delta::new(ln_delta.exp()).unwrap();
        for accountant in accountants(&one) {
            let composition = one.into();
            if let Ok(epsilon) = Epsilon::new(accountant.epsilon(&composition, delta).unwrap().epsilon) {
                let found = accountant.delta(&composition, epsilon).unwrap();
                prop_assert!((found.ln() - ln_delta).abs() < 0.01, "{accountant} {one:?} {found} {delta}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn calibrated_noise_holds_and_a_thousandth_less_does_not(
        rate in prop_oneof![Just(1.0), 1e-3_f64..1.0], rounds in 1_u32..10_000, epsilon in 0.1_f64..50.0,
    ) {
        let all = accountants(&step(1.0, rate, rounds));
        for accountant in all.into_iter().filter(|accountant| *accountant != Accountant::Pld) {
            assert_calibrated(accountant, rate, rounds, epsilon);
        }
    }

    #[test]
    fn the_most_rounds_hold_and_one_more_does_not(
        noise in 1.0_f64..100.0, rate in prop_oneof![Just(1.0), 1e-3_f64..1.0], epsilon in 1.0_f64..50.0,
    ) {
        let all = accountants(&step(noise, rate, 1));
        for accountant in all.into_iter().filter(|accountant| *accountant != Accountant::Pld) {
            assert_lasts(accountant, noise, rate, epsilon);
        }
    }
}

/// One example: each question takes a debug build a good part of a second, and either way back asks a dozen.
#[test]
fn the_distribution_of_losses_calibrates_too() {
    assert_calibrated(Accountant::Pld, 0.3, 5, 2.0);
    assert_lasts(Accountant::Pld, 3.0, 0.3, 2.0);
}

fn target(epsilon: f64) -> Target {
    Target { epsilon: Epsilon::new(epsilon).unwrap(), delta: Delta::new(1e-5).unwrap() }
}

fn assert_calibrated(accountant: Accountant, rate: f64, rounds: u32, epsilon: f64) {
    let one = step(1.0, rate, rounds);
    let noise = least_noise(accountant, target(epsilon), one.sampling_rate, one.rounds).unwrap().get();
    let with = |noise: f64| spent(accountant, &[step(noise, rate, rounds)], 1e-5);
    assert!(with(noise) <= epsilon, "{accountant} {rate} {rounds} {epsilon}: {noise}");
    let less = with(noise * 0.999);
    assert!(less > epsilon || noise <= LEAST_NOISE, "{accountant} {rate} {rounds} {epsilon}: {noise} {less}");
}

fn assert_lasts(accountant: Accountant, noise: f64, rate: f64, epsilon: f64) {
    let one = step(noise, rate, 1);
    let with = |rounds: u32| spent(accountant, &[step(noise, rate, rounds)], 1e-5);
    match most_rounds(accountant, target(epsilon), one.noise_multiplier, one.sampling_rate) {
        Ok(rounds) => {
            let more = rounds.checked_add(1).map_or(f64::INFINITY, |more| with(more.get()));
            assert!(with(rounds.get()) <= epsilon && more > epsilon, "{accountant} {rounds}");
        }
        Err(_) => assert!(with(1) > epsilon),
    }
}

#[test]
fn a_budget_out_of_reach_says_what_was_tried() {
    // The largest order, 256, cannot show less than 0.0195 for delta 1e-5, however much noise there is.
    let target = Target { epsilon: Epsilon::new(0.01).unwrap(), delta: Delta::new(1e-5).unwrap() };
    let error = least_noise(Accountant::Rdp, target, SamplingRate::FULL, NonZeroU32::MIN).unwrap_err();
    assert!(matches!(error, AccountantError::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("up to 1000000") && text.contains("0.019"), "{text}");
    let noise = least_noise(Accountant::Gaussian, target, SamplingRate::FULL, NonZeroU32::MIN).unwrap();
    let error =
        most_rounds(Accountant::Gaussian, target, NoiseMultiplier::new(1.0).unwrap(), SamplingRate::FULL);
    assert!(noise.get() > 100.0 && matches!(error, Err(AccountantError::NoRound { .. })), "{error:?}");
    let sampled = SamplingRate::new(0.5).unwrap();
    let error = least_noise(Accountant::Gaussian, target, sampled, NonZeroU32::MIN).unwrap_err();
    assert_eq!(error, AccountantError::Sampled { found: sampled });
}
