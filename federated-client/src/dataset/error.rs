use std::path::PathBuf;

use federated_core::fault::Fault;

/// Why a table cannot be used as a data set.
///
/// # Privacy
/// Some messages quote a cell of the table. They are for the people at this site; they never travel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The file cannot be opened.
    #[error("data file {path} cannot be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not CSV: unequal numbers of fields, text that is not UTF-8, a read error.
    #[error("{path}: not a CSV file with a header and equally many fields in each line")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the reader says, with the line.
        source: csv::Error,
    },
    /// Two columns have the same name.
    #[error("{path}, line 1: two columns are named `{column}`; expected different names")]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// There is no column of the label's name.
    #[error("{path}, line 1: expected a label column named `{expected}`, found {}", found.join(", "))]
    NoLabelColumn {
        /// The file.
        path: PathBuf,
        /// The label column's name.
        expected: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// There is no column beside the label.
    #[error("{path}, line 1: expected feature columns beside the label, found none")]
    NoFeatures {
        /// The file.
        path: PathBuf,
    },
    /// There is a header and nothing else.
    #[error("{path}: expected examples after the header, found none")]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A cell is empty.
    #[error(
        "{path}, line {line}, column `{column}`: expected {expected}, found nothing; fill in or drop missing values"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The line in the file; the header is line 1.
        line: u64,
        /// The column.
        column: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A cell holds something else than what belongs there.
    #[error("{path}, line {line}, column `{column}`: expected {expected}, found `{found}`")]
    Cell {
        /// The file.
        path: PathBuf,
        /// The line in the file; the header is line 1.
        line: u64,
        /// The column.
        column: String,
        /// What belongs there.
        expected: &'static str,
        /// What is there, cut to 40 characters.
        found: String,
    },
    /// The number of values is not the number of labels times the number of features.
    #[error("expected {labels} rows of {features} features, at least 1, found {values} values")]
    Shape {
        /// Features of an example.
        features: usize,
        /// Labels given.
        labels: usize,
        /// Values given.
        values: usize,
    },
}

impl DatasetError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Open { .. } => Fault::Environment,
            _ => Fault::Caller,
        }
    }
}
