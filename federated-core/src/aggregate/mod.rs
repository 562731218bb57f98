//! Turning many updates into one.
//!
//! An [`Aggregator`] works on a block of columns: the same stretch of elements from every update. So the memory that an
//! aggregation needs is a few blocks, whatever the size of the model, and blocks can be worked on by many threads.
//!
//! Read in this order: [`Aggregation`], the kinds that there are; [`WeightedMean`], the aggregator of FedAvg, and below
//! it [`ExactSum`], which makes the result independent of every order; [`Median`] and [`TrimmedMean`], which withstand
//! liars column by column, on `columns` sorted by a `network`; [`Krum`], which withstands them by choosing whole
//! updates, from the [`PairwiseDistances`] that [`DistanceSums`] gathers in a pass of its own, and leaves a [`Chosen`]
//! for the second pass. [`AggregationRule`] is which of these a job uses.
//!
//! The rules and the weight of an update, its number of examples:
//!
//! | rule | weights | withstands |
//! |---|---|---|
//! | [`WeightedMean`] | as FedAvg: by examples | no liar: one moves it anywhere |
//! | [`Median`] | ignored | fewer than half of the updates |
//! | [`TrimmedMean`] | ignored | as many as are trimmed at each end |
//! | [`Krum`] | ignored | f of at least 2 f + 3 |
//!
//! The robust rules ignore weights as their papers do, and for a reason: the count of examples is a participant's own
//! word, so a rule that believed it would give a liar as much say as it asks for.

mod chosen;
mod columns;
#[cfg(any(test, feature = "test-util"))]
pub mod conformance;
mod distances;
mod error;
mod exact_mean;
mod exact_sum;
mod krum;
mod median;
mod network;
mod rule;
mod squared_distance;
mod squares;
#[cfg(test)]
mod tests;
mod trimmed_mean;
mod weighted_mean;

use crate::update::ExampleCount;

pub use chosen::Chosen;
pub use distances::{DistanceSums, PairwiseDistances};
pub use error::AggregateError;
pub use exact_sum::{ExactSum, MAX_TOTAL_WEIGHT};
pub use krum::Krum;
pub use median::Median;
pub use rule::AggregationRule;
pub use squared_distance::SquaredDistance;
pub use trimmed_mean::TrimmedMean;
pub use weighted_mean::WeightedMean;

/// The same stretch of elements of one update, with the update's weight.
#[derive(Clone, Copy, Debug)]
pub struct WeightedBlock<'a> {
    /// How many examples the update was trained on.
    pub examples: ExampleCount,
    /// The elements; finite and below 2^31 in magnitude.
    pub values: &'a [f32],
}

/// How the updates of a round become one: what the columns must be asked, and how often.
///
/// Whoever combines updates matches on it, so that no pass can be forgotten: a [`UpdateSelector`] cannot combine
/// anything, and the [`Chosen`] that can comes out of a pass over all columns.
///
/// # Examples
/// ```
/// use federated_core::{aggregate::{Aggregation, AggregationRule, DistanceSums, Krum, WeightedBlock}, update::ExampleCount};
///
/// // One column of five updates; the last one lies.
/// let values = [[0.0], [1.0], [2.5], [4.5], [100.0]];
/// let examples = ExampleCount::new(1)?;
/// let blocks = values.each_ref().map(|values| WeightedBlock { examples, values });
///
/// let rule = AggregationRule::Krum(Krum::new(1.try_into()?, 2.try_into()?));
/// let Aggregation::Selection(selector) = rule.aggregation() else { unreachable!() };
/// let mut sums = DistanceSums::new(5, 1);
/// sums.add(&blocks)?; // first pass: every block of columns
/// let chosen = selector.choose(&sums.complete()?)?;
/// assert_eq!(chosen.indices(), [1, 2]);
/// # use federated_core::aggregate::Aggregator as _;
/// assert_eq!(chosen.combine(&chosen.pick(blocks))?, [1.75]); // second pass: only those chosen
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "whoever combines updates must know every kind of aggregation")]
pub enum Aggregation<'a> {
    /// One pass, and the result is a function of the weighted sum alone: works on masked updates too.
    Linear(&'a dyn LinearAggregator),
    /// One pass over the columns.
    Columns(&'a dyn Aggregator),
    /// Two passes: distances between all updates over all columns, then the combination of those chosen.
    Selection(&'a dyn UpdateSelector),
}

/// Combines updates, element by element.
///
/// # Laws
/// The result does not depend on the order of `blocks`, nor on how a model is cut into blocks: combining two adjacent
/// blocks gives the concatenation of what combining each gives. Equal updates give that update. The module
/// `conformance`, under the feature `test-util`, checks an implementation.
pub trait Aggregator: std::fmt::Debug + Send + Sync {
    /// Combines one block of columns into as many values as each block has.
    ///
    /// # Errors
    /// [`AggregateError`] when there is no block, the blocks differ in length, the weights are too large, or there are
    /// fewer blocks than the rule can work on.
    fn combine(&self, blocks: &[WeightedBlock<'_>]) -> Result<Vec<f32>, AggregateError>;
}

/// An aggregator whose result is a function of the weighted sum of the updates alone.
///
/// Only such aggregators can work on masked updates: a median cannot.
///
/// ```compile_fail
/// # use federated_core::aggregate::{LinearAggregator, Median};
/// let masked: &dyn LinearAggregator = &Median;
/// ```
pub trait LinearAggregator: Aggregator {}

/// Chooses which updates count, by the distances between them.
///
/// # Laws
/// The choice is a function of the distances alone. Updates that are as good as each other are told apart by their
/// place: give the updates in an order that does not depend on when they arrived, such as that of the participants'
/// names.
pub trait UpdateSelector: std::fmt::Debug + Send + Sync {
    /// Chooses at least one of the updates.
    ///
    /// # Errors
    /// [`AggregateError::TooFew`] when there are fewer updates than the rule can work on.
    fn choose(&self, distances: &PairwiseDistances) -> Result<Chosen, AggregateError>;
}

/// The common length of the blocks.
fn block_length(blocks: &[WeightedBlock<'_>]) -> Result<usize, AggregateError> {
    let expected = blocks.first().ok_or(AggregateError::Empty)?.values.len();
    match blocks.iter().map(|block| block.values.len()).find(|found| *found != expected) {
        None => Ok(expected),
        Some(found) => Err(AggregateError::BlockLength { expected, found }),
    }
}
