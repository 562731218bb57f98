//! Turning many updates into one.
//!
//! An [`Aggregator`] works on a block of columns: the same stretch of elements from every update. So the memory that an
//! aggregation needs is a few blocks, whatever the size of the model, and blocks can be worked on by many threads. Read
//! [`WeightedMean`], the aggregator of FedAvg, and below it [`ExactSum`], which makes the result independent of every
//! order.

mod exact_sum;
mod weighted_mean;

use crate::{fault::Fault, update::ExampleCount};

pub use exact_sum::{ExactSum, MAX_TOTAL_WEIGHT};
pub use weighted_mean::WeightedMean;

/// Why updates cannot be aggregated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AggregateError {
    /// There is no update to aggregate.
    #[error("expected at least one update, found none")]
    Empty,
    /// An update's block has another length than the first one's.
    #[error("expected a block of {expected} values, found {found}")]
    BlockLength {
        /// Values expected.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// The weights together are too large for an exact sum.
    #[error("expected example counts with a sum of at most 2^40, found more")]
    TotalWeight,
}

impl AggregateError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Empty | Self::BlockLength { .. } => Fault::Bug,
            Self::TotalWeight => Fault::Peer,
        }
    }
}

/// The same stretch of elements of one update, with the update's weight.
#[derive(Clone, Copy, Debug)]
pub struct WeightedBlock<'a> {
    /// How many examples the update was trained on.
    pub examples: ExampleCount,
    /// The elements; finite and below 2^31 in magnitude.
    pub values: &'a [f32],
}

/// Combines updates, element by element.
///
/// # Laws
/// The result does not depend on the order of `blocks`, nor on how a model is cut into blocks: combining two adjacent
/// blocks gives the concatenation of what combining each gives. The conformance of an implementation is checked by
/// property tests.
pub trait Aggregator: std::fmt::Debug + Send + Sync {
    /// Combines one block of columns into as many values as each block has.
    ///
    /// # Errors
    /// [`AggregateError`] when there is no block, the blocks differ in length, or the weights are too large.
    fn combine(&self, blocks: &[WeightedBlock<'_>]) -> Result<Vec<f32>, AggregateError>;
}

/// An aggregator whose result is a function of the weighted sum of the updates alone.
///
/// Only such aggregators can work on masked updates: a median cannot.
pub trait LinearAggregator: Aggregator {}
