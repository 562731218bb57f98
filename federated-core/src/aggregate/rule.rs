use serde::{Deserialize, Serialize};

use super::{Aggregation, Krum, Median, TrimmedMean, WeightedMean};

/// Which of the built-in aggregations a job uses, as plain data that is kept in its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AggregationRule {
    /// The mean, weighted by examples.
    #[default]
    Mean,
    /// The coordinate-wise median.
    Median,
    /// The coordinate-wise trimmed mean.
    TrimmedMean(TrimmedMean),
    /// Krum or multi-Krum.
    Krum(Krum),
}

impl AggregationRule {
    /// The aggregation itself.
    #[must_use]
    pub const fn aggregation(&self) -> Aggregation<'_> {
        match self {
            Self::Mean => Aggregation::Linear(&WeightedMean),
            Self::Median => Aggregation::Columns(&Median),
            Self::TrimmedMean(rule) => Aggregation::Columns(rule),
            Self::Krum(rule) => Aggregation::Selection(rule),
        }
    }

    /// The fewest updates it works on. A job's quorum must be at least this.
    #[must_use]
    pub fn min_updates(&self) -> u64 {
        match self {
            Self::Mean | Self::Median => 1,
            Self::TrimmedMean(rule) => rule.min_updates(),
            Self::Krum(rule) => rule.min_updates(),
        }
    }
}
