use std::{fs::File, io::Read, path::Path};

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{DatasetError, TabularDataset};

/// Largest class number: counts of classes stay far below what a network could have outputs for.
const MAX_CLASS: u32 = 65_535;

const FEATURE: &str = "a finite number";
const LABEL: &str = "a class, a whole number from 0 to 65535";

/// Reads a CSV file of numbers: a header line, then one line an example.
///
/// The column named `label` holds the class of each example, a whole number from 0; every other column is a feature, in
/// the order of the file. All sites of a job need the same columns in the same order, on the same scale.
///
/// # Errors
/// [`DatasetError`] with file, line, column, what was expected and what was found: a file that cannot be read or is not
/// CSV, a missing or doubled column, no examples, an empty cell, a cell that is not a finite number, a label that is not
/// a class.
pub fn read_csv(path: &Path, label: &str) -> Result<TabularDataset, DatasetError> {
    let file = File::open(path).map_err(|source| DatasetError::Open { path: path.to_owned(), source })?;
    read(file, path, label)
}

fn read(source: impl Read, path: &Path, label: &str) -> Result<TabularDataset, DatasetError> {
    let malformed = |source| DatasetError::Malformed { path: path.to_owned(), source };
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(source);
    let columns = reader.headers().map_err(malformed)?.clone();
    let label = label_position(&columns, path, label)?;
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    let mut row = StringRecord::new();
    while reader.read_record(&mut row).map_err(malformed)? {
        let line = row.position().map_or(0, csv::Position::line);
        for (index, (column, text)) in columns.iter().zip(&row).enumerate() {
            let place = Cell { path, line, column, text };
            if index == label {
                labels.push(place.class()?);
            } else {
                values.push(place.number()?);
            }
        }
    }
    if labels.is_empty() {
        return Err(DatasetError::NoRows { path: path.to_owned() });
    }
    TabularDataset::new(columns.len() - 1, values, labels)
}

fn label_position(columns: &StringRecord, path: &Path, label: &str) -> Result<usize, DatasetError> {
    let path = || path.to_owned();
    let mut seen = std::collections::BTreeSet::new();
    if let Some(column) = columns.iter().find(|column| !seen.insert(*column)) {
        return Err(DatasetError::DuplicateColumn { path: path(), column: column.to_owned() });
    }
    let position = columns.iter().position(|column| column == label).ok_or_else(|| {
        let found = columns.iter().map(str::to_owned).collect();
        DatasetError::NoLabelColumn { path: path(), expected: label.to_owned(), found }
    })?;
    if columns.len() == 1 {
        return Err(DatasetError::NoFeatures { path: path() });
    }
    Ok(position)
}

/// One cell and where it stands.
struct Cell<'a> {
    path: &'a Path,
    line: u64,
    column: &'a str,
    text: &'a str,
}

impl Cell<'_> {
    fn number(&self) -> Result<f32, DatasetError> {
        let number = self.text.parse::<f32>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| self.refused(FEATURE))
    }

    fn class(&self) -> Result<u32, DatasetError> {
        // Spreadsheets and data frames write whole numbers as 1.0.
        let whole = self.text.strip_suffix(".0").unwrap_or(self.text);
        let class = whole.parse::<u32>().ok().filter(|class| *class <= MAX_CLASS);
        class.ok_or_else(|| self.refused(LABEL))
    }

    fn refused(&self, expected: &'static str) -> DatasetError {
        let (path, line, column) = (self.path.to_owned(), self.line, self.column.to_owned());
        if self.text.is_empty() {
            DatasetError::Missing { path, line, column, expected }
        } else {
            let found = self.text.chars().take(40).collect();
            DatasetError::Cell { path, line, column, expected, found }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TabularDataset, DatasetError> {
        read(text.as_bytes(), Path::new("heart.csv"), "sick")
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn features_keep_the_order_of_the_file_and_the_label_may_stand_anywhere() {
        let dataset = parse("age, sick ,pressure\n0.5,1,-1e-3\n1,0.0,2\n").unwrap();
        assert_eq!(dataset.feature_count(), 2);
        assert_eq!(dataset.row(0), Some((&[0.5_f32, -0.001][..], 1)));
        assert_eq!(dataset.row(1), Some((&[1.0_f32, 2.0][..], 0)));
    }

    #[test]
    fn every_bad_cell_is_told_with_its_place() {
        assert_eq!(
            message("age,sick\n1,0\n,1\n"),
            "heart.csv, line 3, column `age`: expected a finite number, found nothing; fill in or drop missing values"
        );
        assert_eq!(
            message("age,sick\n1,0\nold,1\n"),
            "heart.csv, line 3, column `age`: expected a finite number, found `old`"
        );
        for bad in ["NaN", "inf", "1e99"] {
            assert!(message(&format!("age,sick\n{bad},1\n")).contains("expected a finite number"), "{bad}");
        }
        for bad in ["-1", "0.5", "yes", "65536"] {
            let text = message(&format!("age,sick\n1,{bad}\n"));
            assert!(text.starts_with("heart.csv, line 2, column `sick`: expected a class"), "{text}");
        }
        assert!(message("age,sick\n1,\n").contains("column `sick`: expected a class"));
    }

    #[test]
    fn a_header_without_the_label_is_told_with_what_is_there() {
        let text = message("age,ill\n1,0\n");
        assert_eq!(text, "heart.csv, line 1: expected a label column named `sick`, found age, ill");
        assert!(matches!(parse(""), Err(DatasetError::NoLabelColumn { .. })));
        assert!(matches!(parse("sick\n1\n"), Err(DatasetError::NoFeatures { .. })));
        assert!(matches!(parse("sick,a,sick\n1,2,3\n"), Err(DatasetError::DuplicateColumn { .. })));
        assert!(matches!(parse("age,sick\n"), Err(DatasetError::NoRows { .. })));
    }

    #[test]
    fn a_line_with_too_few_fields_is_told_with_its_line() {
        use std::error::Error as _;
        let error = parse("age,sick\n1,0\n1\n").unwrap_err();
        assert!(matches!(error, DatasetError::Malformed { .. }));
        assert!(error.source().unwrap().to_string().contains("line: 3"), "{:?}", error.source());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read_csv(Path::new("no/such/file.csv"), "sick").unwrap_err();
        assert_eq!(error.to_string(), "data file no/such/file.csv cannot be opened");
    }
}
