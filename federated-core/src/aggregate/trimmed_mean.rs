use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{
    AggregateError, Aggregator, WeightedBlock,
    columns::{Rows, TILE, combine_sorted},
};

/// The coordinate-wise trimmed mean: in each column the mean of what is left without the `trim` smallest and the `trim`
/// largest values.
///
/// As long as at most `trim` of the updates lie, each value of the result is between the smallest and the largest
/// honest value of its column. The paper drops a fraction beta of the values at each end; here the number is given, and
/// beta is `trim` divided by the number of updates: the number of liars to withstand does not grow with the cohort.
///
/// The example counts are ignored: a weight is a participant's own word. The mean is taken in `f64` over the sorted
/// values, so that the result has the same bits in whatever order updates come; its error is below 2^-53 times the
/// number of updates times the largest magnitude, then it is rounded to `f32`.
///
/// # References
/// Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018, Definition 2 and
/// Algorithm 1, option II.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrimmedMean {
    trim: NonZeroU32,
}

impl TrimmedMean {
    /// Drops `trim` values at each end of a column. It takes at least [`TrimmedMean::min_updates`] updates.
    #[must_use]
    pub const fn new(trim: NonZeroU32) -> Self {
        Self { trim }
    }

    /// How many values are dropped at each end.
    #[must_use]
    pub const fn trim(self) -> NonZeroU32 {
        self.trim
    }

    /// The fewest updates that leave something: `2 trim + 1`.
    #[must_use]
    pub fn min_updates(self) -> u64 {
        2 * u64::from(self.trim.get()) + 1
    }
}

impl Aggregator for TrimmedMean {
    fn combine(&self, blocks: &[WeightedBlock<'_>]) -> Result<Vec<f32>, AggregateError> {
        let expected = usize::try_from(self.min_updates()).unwrap_or(usize::MAX);
        if !blocks.is_empty() && blocks.len() < expected {
            return Err(AggregateError::TooFew { expected, found: blocks.len() });
        }
        // Half of min_updates, rounded down: the number trimmed, in the type of sizes.
        let trim = expected / 2;
        combine_sorted(blocks, |rows| mean(&rows[trim..rows.len() - trim]))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "rounding to f32 is the purpose, and nobody has 2^52 updates"
)]
fn mean(rows: &Rows) -> [f32; TILE] {
    let mut sums = [0.0_f64; TILE];
    for row in rows {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let count = rows.len() as f64;
    sums.map(|sum| (sum / count) as f32)
}
