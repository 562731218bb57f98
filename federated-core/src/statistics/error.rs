use super::{question::MAX_COLUMN_BYTES, slots::MAX_TOTALS, totals::MAX_RECORDS};
use crate::{fault::Fault, model::ModelError};

/// Why something cannot be asked, or not be counted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// No question.
    #[error("expected at least one line `COLUMN from LOWER to UPPER: STATISTICS`, found none")]
    Nothing,
    /// A line of the text is wrong.
    #[error("line {line}: {source}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// A line has another form.
    #[error("expected `COLUMN from LOWER to UPPER: STATISTICS`, found `{found}`")]
    Form {
        /// The line.
        found: String,
    },
    /// Not a statistic.
    #[error(
        "expected `count`, `mean`, `variance` or a number of bins from 1 to 65536 such as `20 bins`, found `{found}`"
    )]
    Statistic {
        /// The text.
        found: String,
    },
    /// Not the name of a column.
    #[error("expected a column's name of 1 to {MAX_COLUMN_BYTES} bytes on one line, found {found:?}")]
    Column {
        /// The name.
        found: String,
    },
    /// Values cannot be clamped to these.
    #[error(
        "expected two bounds within -1e100 to 1e100, the lower below the upper, found {lower} and {upper}"
    )]
    Bounds {
        /// The lower.
        lower: f64,
        /// The upper.
        upper: f64,
    },
    /// A column is asked for twice.
    #[error("column `{column}` is asked for twice: put all its statistics on one line")]
    Duplicate {
        /// The column.
        column: String,
    },
    /// There are too many totals.
    #[error("expected at most {MAX_TOTALS} totals, found {found}: ask for fewer columns or bins")]
    TooMany {
        /// How many.
        found: u64,
    },
    /// A record has another number of values than there are questions.
    #[error("expected a record of {expected} values, found {found}")]
    Record {
        /// One for each question.
        expected: usize,
        /// How many.
        found: usize,
    },
    /// There are more records than can be summed.
    #[error("expected at most {MAX_RECORDS} records at a site, found more")]
    Records,
    /// The totals are no model.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl StatisticsError {
    /// Whose fault it is: questions are written by the caller, and records are the caller's.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }

    /// The same, with the line it was found in.
    pub(super) fn at(self, line: usize) -> Self {
        Self::Line { line, source: Box::new(self) }
    }
}
