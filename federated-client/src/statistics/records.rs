use std::{collections::BTreeSet, fmt, ops::ControlFlow};

use federated_core::fault::Fault;

use crate::dataset::BoxError;

/// Why records cannot be counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The values do not fill the rows.
    #[error("expected a whole number of records of {columns} values, found {values} values")]
    Shape {
        /// How many columns there are.
        columns: usize,
        /// How many values.
        values: usize,
    },
    /// There is no such column, or two.
    #[error("expected one column `{column}`, found {found} of {all:?}")]
    Column {
        /// The column.
        column: String,
        /// How many have the name.
        found: usize,
        /// The columns that there are.
        all: Vec<String>,
    },
}

impl RecordError {
    /// Whose fault it is: the caller's, who puts records and questions together.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Records that can be counted: from memory, a file, a database.
///
/// # Privacy
/// A record is what noise hides. Give each person one: whoever has several is hidden for one of them only.
pub trait Records: Send {
    /// How many there are: the participant's policy and preflight check ask.
    fn count(&self) -> u64;

    /// Shows each record once, with its values of these columns in this order; `None` where a value is missing. Ends early after
    /// [`ControlFlow::Break`].
    ///
    /// # Errors
    /// Whatever keeps the records from being read, for instance a column that is not there. It stays in this site's log.
    fn read(
        &self,
        columns: &[&str],
        show: &mut dyn FnMut(&[Option<f64>]) -> ControlFlow<()>,
    ) -> Result<(), BoxError>;
}

/// Records in memory.
///
/// # Examples
/// ```
/// use federated_client::statistics::{RecordTable, Records};
///
/// let table = RecordTable::new(["age", "chol"], vec![Some(63.0), Some(233.0), Some(41.0), None])?;
/// assert_eq!(table.count(), 2);
/// # Ok::<(), federated_client::statistics::RecordError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct RecordTable {
    columns: Vec<String>,
    values: Vec<Option<f64>>,
}

impl RecordTable {
    /// A table of these columns, at least 1, with the values row after row.
    ///
    /// # Errors
    /// [`RecordError`] when the values do not fill the rows, and for two columns of one name.
    pub fn new<C: Into<String>>(
        columns: impl IntoIterator<Item = C>,
        values: Vec<Option<f64>>,
    ) -> Result<Self, RecordError> {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        if columns.is_empty() || !values.len().is_multiple_of(columns.len()) {
            return Err(RecordError::Shape { columns: columns.len(), values: values.len() });
        }
        let mut seen = BTreeSet::new();
        if let Some(column) = columns.iter().find(|column| !seen.insert(column.as_str())).cloned() {
            return Err(RecordError::Column { column, found: 2, all: columns });
        }
        Ok(Self { columns, values })
    }

    fn place(&self, column: &str) -> Result<usize, RecordError> {
        let place = self.columns.iter().position(|name| name == column);
        let missing =
            || RecordError::Column { column: column.to_owned(), found: 0, all: self.columns.clone() };
        place.ok_or_else(missing)
    }
}

impl Records for RecordTable {
    fn count(&self) -> u64 {
        (self.values.len() / self.columns.len()) as u64
    }

    fn read(
        &self,
        columns: &[&str],
        show: &mut dyn FnMut(&[Option<f64>]) -> ControlFlow<()>,
    ) -> Result<(), BoxError> {
        let places = columns.iter().map(|column| self.place(column)).collect::<Result<Vec<_>, _>>()?;
        let mut shown = vec![None; places.len()];
        for row in self.values.chunks_exact(self.columns.len()) {
            for (value, place) in shown.iter_mut().zip(&places) {
                *value = row.get(*place).copied().flatten();
            }
            if show(&shown).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RecordTable {
    /// Names and sizes only: the records are private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordTable").field("columns", &self.columns).field("records", &self.count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> RecordTable {
        RecordTable::new(["a", "b"], vec![Some(1.0), None, Some(3.0), Some(4.0)]).unwrap()
    }

    #[test]
    fn records_are_shown_in_the_order_asked_for_until_it_is_enough() {
        let mut seen = Vec::new();
        table()
            .read(&["b", "a", "b"], &mut |record| {
                seen.push(record.to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(seen, [vec![None, Some(1.0), None], vec![Some(4.0), Some(3.0), Some(4.0)]]);
        let mut seen = 0;
        table()
            .read(&["a"], &mut |_| {
                seen += 1;
                ControlFlow::Break(())
            })
            .unwrap();
        assert_eq!(seen, 1);
    }

    #[test]
    fn a_column_that_is_not_there_is_told_and_no_value_is() {
        let error = table().read(&["c"], &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!(error.to_string(), "expected one column `c`, found 0 of [\"a\", \"b\"]");
        assert_eq!(format!("{:?}", table()), "RecordTable { columns: [\"a\", \"b\"], records: 2 }");
        assert!(RecordTable::new(["a", "a"], Vec::new()).is_err());
        assert!(RecordTable::new(["a", "b"], vec![None]).is_err());
        assert!(RecordTable::new([""; 0], Vec::new()).is_err());
    }
}
