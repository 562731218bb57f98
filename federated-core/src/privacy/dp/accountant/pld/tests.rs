use std::num::NonZeroU32;

use super::*;
use crate::privacy::dp::{MechanismStep, NoiseMultiplier, RdpCurve, SamplingRate, accountant::gaussian};

fn step(noise: f64, rate: f64, rounds: u32) -> MechanismStep {
    MechanismStep {
        noise_multiplier: NoiseMultiplier::new(noise).unwrap(),
        sampling_rate: SamplingRate::new(rate).unwrap(),
        rounds: NonZeroU32::new(rounds).unwrap(),
    }
}

fn spent(steps: &[MechanismStep], delta: f64) -> f64 {
    epsilon(&steps.iter().copied().collect(), Delta::new(delta).unwrap()).unwrap()
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

#[test]
fn known_epsilons_are_found() {
    for (noise, rate, rounds, delta, rdp, order, pld) in KNOWN {
        let steps = [step(noise, rate, rounds)];
        let found = RdpCurve::of(&steps.into_iter().collect()).epsilon(Delta::new(delta).unwrap());
        let t = std::time::Instant::now();
        let a = spent(&steps, delta);
        println!(
            "{} {} | {a} {pld} rel {:e} {:?}",
            found.epsilon,
            found.epsilon / rdp - 1.0,
            a / pld - 1.0,
            t.elapsed()
        );
        assert!((found.epsilon / rdp - 1.0).abs() <= 1e-5 && (found.order - order).abs() < 1e-9, "{found:?}");
    }
}
