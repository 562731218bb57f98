//! What a participant sends back: the change its training made, and from how many examples.

use serde::{Deserialize, Serialize};

use crate::{
    fault::{Fault, ReasonCode},
    metrics::Metrics,
    model::ModelParameters,
};

/// Why an update cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The update says it comes from no example, or from more than can be weighted exactly.
    #[error("expected an example count between 1 and {max}, found {found}", max = ExampleCount::MAX)]
    ExampleCount {
        /// The count found.
        found: u64,
    },
}

impl UpdateError {
    /// Whose fault it is: updates come from a peer.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }

    /// What the peer is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        ReasonCode::new("UPDATE_EXAMPLE_COUNT")
    }
}

/// How many examples an update was trained on: its weight in FedAvg. Between 1 and 2^32 - 1.
///
/// The upper bound keeps the weighted sum of a whole federation exact (see `aggregate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct ExampleCount(u32);

impl ExampleCount {
    /// The largest count: 2^32 - 1.
    pub const MAX: u64 = u32::MAX as u64;
    /// One example: the weight of an update where all weigh the same.
    pub const ONE: Self = Self(1);

    /// A count of examples.
    ///
    /// # Errors
    /// [`UpdateError::ExampleCount`] for 0 and for more than [`ExampleCount::MAX`].
    pub fn new(count: u64) -> Result<Self, UpdateError> {
        match u32::try_from(count) {
            Ok(small) if small > 0 => Ok(Self(small)),
            _ => Err(UpdateError::ExampleCount { found: count }),
        }
    }

    /// The count.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for ExampleCount {
    type Error = UpdateError;

    fn try_from(count: u64) -> Result<Self, UpdateError> {
        Self::new(count)
    }
}

impl From<ExampleCount> for u64 {
    fn from(count: ExampleCount) -> Self {
        Self::from(count.0)
    }
}

/// The result of one participant's task.
///
/// `delta` is the trained model minus the model the task started from (FedAvg), or minus the learning rate times the
/// gradient (FedSGD): what is to be added to the global model, before weighting.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientUpdate {
    /// The change, in the layout of the task's model.
    pub delta: ModelParameters,
    /// How many examples it was computed from.
    pub examples: ExampleCount,
    /// What else the trainer reports.
    pub metrics: Metrics,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_no_examples_is_refused() {
        assert_eq!(ExampleCount::new(0), Err(UpdateError::ExampleCount { found: 0 }));
        assert_eq!(ExampleCount::new(1).unwrap().get(), 1);
        assert_eq!(u64::from(ExampleCount::new(ExampleCount::MAX).unwrap()), ExampleCount::MAX);
        assert!(ExampleCount::new(ExampleCount::MAX + 1).is_err());
    }
}
