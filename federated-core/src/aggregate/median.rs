use super::{
    AggregateError, Aggregator, WeightedBlock,
    columns::{Rows, TILE, combine_sorted},
};

/// The coordinate-wise median: in each column the middle value, whatever a minority of participants sends.
///
/// As long as fewer than half of the updates lie, each value of the result is between the smallest and the largest
/// honest value of its column. The median of an even number of values is the mean of the two in the middle, rounded
/// once to the nearest `f32`. A zero is always `+0.0`.
///
/// The example counts are ignored: every update has one vote. Where sites differ much in size this costs accuracy, and
/// where their data differ much the median may lie far from the mean even if nobody lies.
///
/// # References
/// Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018, Definition 1 and
/// Algorithm 1, option I.
#[derive(Clone, Copy, Debug, Default)]
pub struct Median;

impl Aggregator for Median {
    fn combine(&self, blocks: &[WeightedBlock<'_>]) -> Result<Vec<f32>, AggregateError> {
        combine_sorted(blocks, middle)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is the purpose")]
fn middle(rows: &Rows) -> [f32; TILE] {
    let (lower, upper) = (&rows[(rows.len() - 1) / 2], &rows[rows.len() / 2]);
    let mut medians = [0.0; TILE];
    for ((median, lower), upper) in medians.iter_mut().zip(lower).zip(upper) {
        // In f64 the sum cannot overflow, and it has more than twice the digits of f32 plus two: rounding it and then
        // its half is the same as rounding the exact mean (Figueroa, "When is double rounding innocuous?", 1995).
        let mean = ((f64::from(*lower) + f64::from(*upper)) * 0.5) as f32;
        // Adding zero turns a negative zero into a positive one.
        *median = mean + 0.0;
    }
    medians
}
