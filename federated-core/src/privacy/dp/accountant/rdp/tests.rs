use proptest::prelude::*;

use super::*;

fn delta(found: f64) -> Delta {
    Delta::new(found).unwrap()
}

fn curve(noise: f64, rate: f64) -> RdpCurve {
    RdpCurve::sampled_gaussian(NoiseMultiplier::new(noise).unwrap(), SamplingRate::new(rate).unwrap())
}

/// Noise multiplier, sampling rate, order, divergence of a round. From mpmath 1.4.1: the integral of the definition by
/// quadrature with 40 digits.
const DIVERGENCES: [(f64, f64, f64, f64); 8] = [
    (1.0, 0.01, 1.25, 0.00010539800509817623),
    (0.8, 0.001, 1.5, 2.816464568332647e-6),
    (5.0, 0.5, 2.5, 0.01275302543498481),
    (1.5, 0.04, 1.75, 0.00077833428244874967),
    (1.1, 0.1, 8.0, 0.71217449529202185),
    (0.5, 0.3, 32.0, 62.757189363276453),
    (10.0, 1.0e-6, 2.0, 1.0050167084168007e-14),
    (2.0, 0.9, 1.25, 0.1274182968108057),
];

#[test]
fn divergences_are_those_of_the_definition_and_never_below() {
    for (noise, rate, order, expected) in DIVERGENCES {
        let curve = curve(noise, rate);
        let (_, found) = curve.orders().zip(curve.divergences()).find(|(at, _)| *at >= order).unwrap();
        assert!(found >= expected, "{noise} {rate} {order}: {found} {expected}");
        assert!(found <= expected * (1.0 + 1e-6), "{noise} {rate} {order}: {found} {expected}");
    }
}

#[test]
fn the_epsilon_of_a_known_divergence_is_the_formula() {
    // RDP(a) = a: of the orders 2 and 4 with delta 1e-3, 4 + ln(3/4) - ln(0.004)/3 = 5.5528 and 2 + ln(1/2) - ln(0.002).
    let curve = RdpCurve::new(&[2.0, 4.0], |order| order).unwrap();
    let spent = curve.epsilon(delta(1e-3));
    assert!((spent.epsilon - (4.0 + 0.75_f64.ln() - 0.004_f64.ln() / 3.0)).abs() < 1e-9, "{spent:?}");
    assert!(spent.order > 3.0);
}

#[test]
fn what_reveals_nothing_spends_nothing() {
    assert!(RdpCurve::default().epsilon(delta(1e-9)).epsilon <= 0.0);
    assert!(RdpCurve::default().delta(Epsilon::new(1e-9).unwrap()) <= 0.0);
    assert_eq!(curve(1.0, 0.1).times(0), RdpCurve::default());
}

#[test]
fn orders_without_a_bound_are_passed_over() {
    let some = RdpCurve::new(&[2.0, 4.0], |order| if order > 3.0 { f64::INFINITY } else { 1.0 }).unwrap();
    assert!(some.epsilon(delta(1e-5)).order < 3.0);
    let none = RdpCurve::new(&[2.0], |_| f64::INFINITY).unwrap();
    assert!(none.epsilon(delta(1e-5)).epsilon.is_infinite());
    assert!(none.delta(Epsilon::new(1.0).unwrap()) >= 1.0);
}

#[test]
fn bad_orders_and_divergences_are_refused() {
    for orders in [&[][..], &[1.0], &[2.0, 2.0], &[3.0, 2.0], &[f64::INFINITY], &[f64::NAN]] {
        assert!(matches!(RdpCurve::new(orders, |_| 1.0), Err(AccountantError::Order { .. })), "{orders:?}");
    }
    for found in [-1e-300, f64::NAN] {
        assert!(matches!(RdpCurve::new(&[2.0], |_| found), Err(AccountantError::Divergence { .. })));
    }
    let other = RdpCurve::new(&[2.0], |_| 1.0).unwrap();
    assert_eq!(curve(1.0, 0.1).compose(&other), Err(AccountantError::OrdersDiffer { left: 21, right: 1 }));
}

proptest! {
    #[test]
    fn delta_for_the_epsilon_of_a_delta_is_that_delta(
        noise in 0.5_f64..50.0, rate in 1e-5_f64..1.0, rounds in 1_u32..10_000, ln_delta in -40.0_f64..-2.0,
    ) {
        let delta = delta(ln_delta.exp());
        let curve = curve(noise, rate).times(rounds);
        if let Ok(epsilon) = Epsilon::new(curve.epsilon(delta).epsilon) {
            prop_assert!((curve.delta(epsilon).ln() - ln_delta).abs() < 1e-6);
        }
    }

    /// The moments are convex, and so is what follows: a divergence rises with its order.
    #[test]
    fn divergences_rise_with_the_order(noise in 0.05_f64..100.0, rate in 1e-7_f64..=1.0) {
        let found: Vec<f64> = curve(noise, rate).divergences().collect();
        prop_assert!(found.iter().all(|value| value.is_finite() && *value > 0.0), "{found:?}");
        prop_assert!(found.windows(2).all(|pair| pair[0] <= pair[1] * (1.0 + 1e-9)), "{found:?}");
    }
}
