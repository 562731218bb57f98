use super::{Budget, Ledger};
use crate::{ids::Fingerprint, privacy::dp::Composition, time::Timestamp};

/// How many records of a kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) reserved: u64,
    pub(super) committed: u64,
    pub(super) refused: u64,
}

/// What is released, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Occasion {
    pub(super) release: String,
    pub(super) occasion: String,
}

/// What became of the releases of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseStory {
    pub(super) charge: Composition,
    pub(super) counts: Counts,
}

impl ReleaseStory {
    pub(super) fn planned(charge: Composition) -> Self {
        Self { charge, counts: Counts::default() }
    }

    /// What one of them spends.
    #[must_use]
    pub const fn charge(&self) -> &Composition {
        &self.charge
    }

    /// How many were reserved.
    #[must_use]
    pub const fn reserved(&self) -> u64 {
        self.counts.reserved
    }

    /// Of those, how many were released for certain.
    #[must_use]
    pub const fn committed(&self) -> u64 {
        self.counts.committed
    }

    /// How many would have exceeded the budget.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.counts.refused
    }
}

impl Ledger {
    /// Whose data it is about.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// How much may be spent.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Everything that was reserved.
    #[must_use]
    pub const fn total(&self) -> &Composition {
        &self.total
    }

    /// What was planned, by name, with what became of it.
    pub fn releases(&self) -> impl Iterator<Item = (&str, &ReleaseStory)> {
        self.planned.iter().map(|(name, story)| (name.as_str(), story))
    }

    /// What became of the releases of a name, if they were planned.
    #[must_use]
    pub fn release(&self, name: &str) -> Option<&ReleaseStory> {
        self.planned.get(name)
    }

    /// Reserved and not committed: the name of the release and its occasion, oldest first.
    pub fn uncommitted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.open.values().map(|open| (open.release.as_str(), open.occasion.as_str()))
    }

    /// Releases that were reserved.
    #[must_use]
    pub const fn reserved(&self) -> u64 {
        self.counts.reserved
    }

    /// Of those, the ones that were released for certain.
    #[must_use]
    pub const fn committed(&self) -> u64 {
        self.counts.committed
    }

    /// Releases that would have exceeded the budget.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.counts.refused
    }

    /// Lines that were cut off, each counted as the costliest release.
    #[must_use]
    pub const fn torn(&self) -> u64 {
        self.torn
    }

    /// How many whole lines there are.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.link.sequence
    }

    /// The SHA-256 of the last line without its line break. Whoever noted it elsewhere sees when lines are cut off the end.
    #[must_use]
    pub const fn last_line(&self) -> &Fingerprint {
        &self.link.previous
    }

    /// When the last line was written.
    #[must_use]
    pub const fn last_at(&self) -> Timestamp {
        self.last_at
    }
}
