use serde::Serialize;

use super::{Bounds, Estimate};

/// How many records have a value in each of the bins, which are of equal width and span the bounds.
///
/// Noisy counts may be below zero and add up to anything. These are the nearest to them (in the sum of squares) that are not
/// below zero and add up to the column's count, so quantiles never decrease.
///
/// # References
/// Duchi, Shalev-Shwartz, Singer, Chandra, *Efficient projections onto the l1-ball for learning in high dimensions*, ICML 2008,
/// Figure 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    bounds: Bounds,
    counts: Vec<f64>,
    deviation: f64,
}

impl Histogram {
    /// From noisy counts, at least one, whose noise has this standard deviation.
    pub(super) fn new(bounds: Bounds, noisy: &[f64], deviation: f64, total: f64) -> Self {
        Self { bounds, counts: nearest(noisy, total), deviation }
    }

    /// The records in each bin.
    #[must_use]
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// The standard deviation of the noise on each count, before they were made to fit together.
    #[must_use]
    pub const fn deviation(&self) -> f64 {
        self.deviation
    }

    /// The width of a bin.
    #[must_use]
    pub fn width(&self) -> f64 {
        2.0 * self.bounds.half_width() / self.counts.len() as f64
    }

    /// The number that this share of the values, from 0 to 1, is not above: 0.5 for the median. Within a bin, values are taken
    /// to be spread evenly. Without any value it is the middle of the bounds.
    ///
    /// Its deviation is for the noise, as far as the histogram is smooth, and for where in its bin the number is.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Estimate {
        let share = if share.is_nan() { 0.5 } else { share.clamp(0.0, 1.0) };
        let (total, half) = (self.counts.iter().sum::<f64>(), self.bounds.half_width());
        if total <= 0.0 {
            return Estimate { value: self.bounds.middle(), deviation: half };
        }
        let (value, below) = self.at(share * total);
        let above = self.counts.len() as f64 - below;
        let noise = self.deviation * (below * (1.0 - share).powi(2) + above * share.powi(2)).sqrt() / total;
        let at = |share: f64| self.at(share.clamp(0.0, 1.0) * total).0;
        let spread = (at(share + noise) - at(share - noise)) / 2.0;
        let deviation = spread.hypot(self.width() / 12.0_f64.sqrt()).min(half);
        Estimate { value, deviation }
    }

    /// Where so many of the values are passed, and how many bins are below.
    fn at(&self, wanted: f64) -> (f64, f64) {
        let (mut passed, mut end) = (0.0, 0.0);
        for (index, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            let below = index as f64;
            end = below + 1.0;
            if passed + count >= wanted {
                return (self.edge(below + ((wanted - passed) / count).clamp(0.0, 1.0)), below);
            }
            passed += count;
        }
        (self.edge(end), end)
    }

    fn edge(&self, bins: f64) -> f64 {
        (self.bounds.lower() + bins * self.width()).min(self.bounds.upper())
    }
}

/// The numbers nearest to these that are not below zero and add up to `total`, which is not below zero either.
fn nearest(noisy: &[f64], total: f64) -> Vec<f64> {
    let mut sorted = noisy.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut excess) = (0.0, f64::INFINITY);
    for (index, value) in sorted.into_iter().enumerate() {
        sum += value;
        let each = (sum - total) / (index as f64 + 1.0);
        // Whoever is below what all give up is left with nothing, and so is everyone after.
        if index > 0 && value <= each {
            break;
        }
        excess = each;
    }
    noisy.iter().map(|value| (value - excess).max(0.0)).collect()
}
