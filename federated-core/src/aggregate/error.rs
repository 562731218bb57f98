use crate::fault::Fault;

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
    /// There are fewer updates than the rule can work on.
    #[error("expected at least {expected} updates, found {found}: raise the quorum to {expected}")]
    TooFew {
        /// Updates that the rule needs.
        expected: usize,
        /// Updates found.
        found: usize,
    },
    /// Blocks or distances of another number of updates than before.
    #[error("expected {expected} updates as in the first pass, found {found}")]
    UpdateCount {
        /// Updates expected.
        expected: usize,
        /// Updates found.
        found: usize,
    },
    /// The first pass has not seen each column once.
    #[error("expected distances over {expected} columns, found {found}")]
    ColumnCount {
        /// Columns of the model.
        expected: u64,
        /// Columns added.
        found: u64,
    },
    /// A selector chose an update that is not there, or nothing.
    #[error("expected a choice of at least one of {updates} updates, found number {found}")]
    Choice {
        /// How many updates there are.
        updates: usize,
        /// The index chosen, or `updates` when nothing was.
        found: usize,
    },
}

impl AggregateError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Empty
            | Self::BlockLength { .. }
            | Self::UpdateCount { .. }
            | Self::ColumnCount { .. }
            | Self::Choice { .. } => Fault::Bug,
            Self::TooFew { .. } => Fault::Caller,
            Self::TotalWeight => Fault::Peer,
        }
    }
}
