use std::fmt;

use serde::{Deserialize, Serialize};

use crate::privacy::dp::{Accountant, Composition, Delta, Epsilon};

/// Whose presence is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PrivacyUnit {
    /// One record of a site's data, a patient for instance.
    Record,
    /// All that a participant has.
    Participant,
}

/// What two data sets that must look alike differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Adjacency {
    /// One of them has a unit more.
    AddRemove,
    /// One unit is another.
    ReplaceOne,
}

impl fmt::Display for PrivacyUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Record => "record",
            Self::Participant => "participant",
        })
    }
}

impl fmt::Display for Adjacency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AddRemove => "add-remove",
            Self::ReplaceOne => "replace-one",
        })
    }
}

/// How much may be spent, and how it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a budget without one of these has no meaning")]
pub struct Budget {
    /// Whose presence is hidden.
    pub unit: PrivacyUnit,
    /// What two data sets that must look alike differ in.
    pub adjacency: Adjacency,
    /// The most that may be spent in all.
    pub epsilon: Epsilon,
    /// The delta it holds with.
    pub delta: Delta,
    /// Who counts.
    pub accountant: Accountant,
}

/// What a line of a ledger says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// The first line of every ledger.
    Opened {
        /// Whose data, for people: a site's or a federation's name.
        subject: String,
        /// How much may be spent.
        budget: Budget,
    },
    /// How much may be spent from here on. What was spent stays so, and is counted as before.
    Rebudgeted {
        /// The most that may be spent in all.
        epsilon: Epsilon,
        /// The delta it holds with.
        delta: Delta,
    },
    /// What each release of this name will spend. Before the first of them.
    Planned {
        /// The name: a job's, for instance.
        release: String,
        /// What one release spends.
        charge: Composition,
    },
    /// It is spent from here on, whatever happens next.
    Reserved {
        /// What is released.
        release: String,
        /// When: a round and attempt, for instance.
        occasion: String,
    },
    /// What was reserved has been released.
    Committed {
        /// The number of the line that reserved it.
        reservation: u64,
    },
    /// It would have exceeded the budget, and was not released.
    Refused {
        /// What was to be released.
        release: String,
        /// When.
        occasion: String,
        /// What would have been spent in all then; `None` when no finite epsilon would have held.
        epsilon: Option<f64>,
    },
    /// The line before this one was cut off. It counts as the costliest release that was planned and is within the budget.
    Torn {
        /// The length of what is there, in bytes.
        bytes: u64,
        /// Its SHA-256, in hexadecimal digits.
        sha256: String,
    },
}
