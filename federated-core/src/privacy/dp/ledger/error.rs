use std::fmt;

use super::Budget;
use crate::{
    fault::Fault,
    privacy::dp::{AccountantError, Delta, Epsilon},
};

/// Why a ledger is not what its owner wrote, or a line does not fit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// There is nothing, or the first line is no beginning.
    #[error("expected a ledger that begins with the record `opened`, found {found}")]
    NotOpened {
        /// What is there.
        found: &'static str,
    },
    /// A line is not in the form of a ledger's.
    #[error("line {line}: expected {expected}; the ledger was changed from outside: restore a copy of it")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What should be there.
        expected: &'static str,
    },
    /// A line was changed, or is by somebody else.
    #[error(
        "line {line}: expected the owner's signature, found another: the ledger was changed from outside, or belongs to another key"
    )]
    Signature {
        /// Which, from 1.
        line: u64,
    },
    /// The last line was cut off, as by a crash. Whoever keeps the ledger notes it, and it counts as spent.
    #[error(
        "the last line is cut off after {bytes} bytes: start the owner of the ledger once more, which notes it and counts it as spent"
    )]
    Torn {
        /// How long what is left of it is.
        bytes: usize,
    },
    /// A record refers to what is not there.
    #[error("line {line}: expected {expected}")]
    Story {
        /// Which, from 1.
        line: u64,
        /// What the record needs.
        expected: &'static str,
    },
    /// A budget that is counted in another way than the ledger's.
    #[error(
        "expected a budget of {expected}, as the ledger was opened with, found one of {found}: only epsilon and delta of a \
         ledger can change; keep the others as they are, or begin a new ledger beside this one",
        expected = Way(.expected), found = Way(.found)
    )]
    OtherBudget {
        /// The ledger's.
        expected: Budget,
        /// The other.
        found: Budget,
    },
    /// A release was planned with another charge before.
    #[error("the release `{release}` is planned with another charge; give one with a new charge a new name")]
    Replanned {
        /// Its name.
        release: String,
    },
    /// A release that was never planned.
    #[error("expected a release that was planned, found `{release}`")]
    Unplanned {
        /// Its name.
        release: String,
    },
    /// What is spent cannot be counted.
    #[error(transparent)]
    Accountant(#[from] AccountantError),
}

impl LedgerError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::OtherBudget { .. }
            | Self::Replanned { .. }
            | Self::Unplanned { .. }
            | Self::Accountant(_) => Fault::Caller,
            _ => Fault::Environment,
        }
    }
}

/// A release that would exceed the budget. It was not released.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "the privacy budget is epsilon {limit} with delta {delta}, of which {spent} is spent; `{release}` would bring it to {}: \
     nothing was released. Raise the budget, or stop here",
    would_be.map_or_else(|| "infinity".to_owned(), |epsilon| epsilon.to_string())
)]
#[non_exhaustive]
pub struct OverBudget {
    /// What was to be released.
    pub release: String,
    /// The most that may be spent.
    pub limit: Epsilon,
    /// The delta it holds with.
    pub delta: Delta,
    /// The epsilon that is spent.
    pub spent: f64,
    /// The epsilon that would have been spent; `None`: none that is finite.
    pub would_be: Option<f64>,
}

/// How a budget is counted.
struct Way<'a>(&'a Budget);

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Budget { unit, adjacency, accountant, .. } = self.0;
        write!(f, "unit {unit}, adjacency {adjacency} and accountant {accountant}")
    }
}
