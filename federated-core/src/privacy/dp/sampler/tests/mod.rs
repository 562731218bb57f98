//! Samples against exact masses. Seeds are fixed, so nothing here is a matter of luck; a right sampler passes
//! each comparison for all but one in three million seeds (five standard deviations).

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;

mod distribution;
mod grid;
mod shapes;

fn keystream(seed: u8) -> Keystream {
    Keystream::new(ChaCha20Rng::from_seed([seed; 32]))
}

/// Pearson's statistic of counts against expectations, as standard deviations of a normal (Wilson and Hilferty).
/// Neighbouring cells are merged until at least 10 are expected in each.
fn deviations(cells: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let (mut statistic, mut count) = (0.0, 0.0);
    let (mut seen, mut expected) = (0.0, 0.0);
    for (more_seen, more_expected) in cells {
        seen += more_seen;
        expected += more_expected;
        if expected >= 10.0 {
            statistic += (seen - expected) * (seen - expected) / expected;
            count += 1.0;
            (seen, expected) = (0.0, 0.0);
        }
    }
    // What is left over counts as a cell of its own, however few it expects: something there that should not be
    // weighs much.
    if expected > 0.0 {
        statistic += (seen - expected) * (seen - expected) / expected.max(1.0);
        count += 1.0;
    }
    let freedom: f64 = count - 1.0;
    let spread = 2.0 / (9.0 * freedom);
    ((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

/// Counts of samples in cells of `width` integers, with what is expected of each for these masses from `first` on.
fn cells(samples: &[i64], first: i64, masses: &[f64], width: usize) -> Vec<(f64, f64)> {
    let mut seen = vec![0.0; masses.len().div_ceil(width)];
    for sample in samples {
        seen[usize::try_from(sample - first).unwrap() / width] += 1.0;
    }
    let total: f64 = masses.iter().sum();
    let expected = masses.chunks(width).map(|cell| samples.len() as f64 * cell.iter().sum::<f64>() / total);
    seen.into_iter().zip(expected).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "of a distribution that is narrower than 2^40")]
fn whole(value: f64) -> i64 {
    value as i64
}

/// The masses of the discrete Gaussian from -reach to reach, up to a factor.
fn gaussian(variance: f64, reach: i64) -> Vec<f64> {
    (-reach..=reach).map(|y| (-((y * y) as f64) / (2.0 * variance)).exp()).collect()
}

/// The masses of a Poisson distribution from 0 to `reach`.
fn poisson(mean: f64, reach: i64) -> Vec<f64> {
    let mut log_factorial = 0.0;
    (0..=reach)
        .map(|k| {
            log_factorial += (k.max(1) as f64).ln();
            (k as f64 * mean.ln() - mean - log_factorial).exp()
        })
        .collect()
}
