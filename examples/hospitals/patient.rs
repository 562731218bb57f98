use anyhow::{Context, Result, bail, ensure};

use crate::hospitals::{
    columns::ATTRIBUTES,
    split::{Part, Split},
};

/// One patient: the columns of the model's input, and the diagnosis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Patient {
    /// A value for each of [`Split::columns`]; `None` where it is missing.
    pub(crate) values: Vec<Option<f64>>,
    /// Whether a coronary vessel is narrowed by more than half.
    pub(crate) ill: bool,
    /// Training or test, where the file says.
    pub(crate) part: Option<Part>,
}

impl Patient {
    /// Reads a hospital's file.
    pub(crate) fn read_all(records: &str, split: Split) -> Result<Vec<Self>> {
        let header_lines = match split {
            Split::Own => 0,
            Split::Published => 1,
        };
        let lines = records.lines().enumerate().skip(header_lines);
        let filled = lines.filter(|(_, line)| !line.trim().is_empty());
        let patients = filled.map(|(index, line)| {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let patient = match split {
                Split::Own => Self::from_own(&fields),
                Split::Published => Self::from_published(&fields),
            };
            patient.with_context(|| format!("line {}", index + 1))
        });
        patients.collect()
    }

    fn from_own(fields: &[&str]) -> Result<Self> {
        let [attributes @ .., diagnosis] = fields else {
            bail!("expected {ATTRIBUTES} attributes and a diagnosis, found an empty line");
        };
        Self::new(Split::Own, attributes, diagnosis, None)
    }

    fn from_published(fields: &[&str]) -> Result<Self> {
        let [_center, part, attributes @ .., label] = fields else {
            bail!(
                "expected a center, a split, {ATTRIBUTES} attributes and a label, found {} fields",
                fields.len()
            );
        };
        let part = match *part {
            "train" => Part::Train,
            "test" => Part::Test,
            other => bail!("expected the split `train` or `test`, found `{other}`"),
        };
        Self::new(Split::Published, attributes, label, Some(part))
    }

    fn new(split: Split, attributes: &[&str], diagnosis: &str, part: Option<Part>) -> Result<Self> {
        let found = attributes.len();
        ensure!(found == ATTRIBUTES, "expected {ATTRIBUTES} attributes, found {found}");
        let mut numbers = [None; ATTRIBUTES];
        for (number, text) in numbers.iter_mut().zip(attributes) {
            *number = attribute(text)?;
        }
        for index in split.never_zero() {
            numbers[index] = numbers[index].filter(|value| *value != 0.0);
        }
        let diagnosis = attribute(diagnosis)?.context("expected a diagnosis, found `?`")?;
        Ok(Self {
            values: split.columns().iter().map(|column| column.value(&numbers)).collect(),
            ill: diagnosis > 0.0,
            part,
        })
    }
}

fn attribute(text: &str) -> Result<Option<f64>> {
    if text == "?" {
        return Ok(None);
    }
    let number: f64 =
        text.parse().ok().with_context(|| format!("expected a number or `?`, found `{text}`"))?;
    ensure!(number.is_finite(), "expected a finite number, found `{text}`");
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hospitals::hospital::Hospital;

    #[test]
    fn every_hospital_has_its_patients_and_its_cases() {
        let count = |split| {
            Hospital::ALL.map(|hospital| {
                let patients = Patient::read_all(&hospital.records(split), split).unwrap();
                (patients.len(), patients.iter().filter(|patient| patient.ill).count())
            })
        };
        assert_eq!(count(Split::Own), [(303, 139), (294, 106), (123, 115), (200, 149)]);
        let published = count(Split::Published);
        assert_eq!(published.map(|(patients, _)| patients), [303, 261, 46, 130]);
    }

    #[test]
    fn attributes_become_columns_and_what_is_not_measured_is_missing() {
        // The second patient of Budapest, with a blood pressure and a cholesterol of 0.
        let patients = Patient::read_all("29,1,2,0,0,0,2,160,0,-.5,?,?,?,3\n", Split::Own).unwrap();
        let value = |name| {
            let position = Split::Own.columns().iter().position(|column| column.name == name).unwrap();
            patients[0].values[position]
        };
        let present = [
            ("age", 29.0),
            ("sex", 1.0),
            ("cp_2", 1.0),
            ("cp_4", 0.0),
            ("restecg_1", 0.0),
            ("oldpeak", -0.5),
        ];
        for (name, expected) in present {
            assert_eq!(value(name), Some(expected), "{name}");
        }
        for name in ["trestbps", "chol", "slope_2", "slope_3", "ca", "thal_6", "thal_7"] {
            assert_eq!(value(name), None, "{name}");
        }
        assert_eq!(value("chol_missing"), Some(1.0));
        assert!(patients[0].ill);
    }

    #[test]
    fn both_files_tell_the_same_of_a_patient() {
        let first = |split: Split| {
            let patients = Patient::read_all(&Hospital::Cleveland.records(split), split).unwrap();
            let names = split.columns().iter().map(|column| column.name);
            names.zip(patients[0].values.clone()).collect::<std::collections::BTreeMap<_, _>>()
        };
        let (own, published) = (first(Split::Own), first(Split::Published));
        for (name, value) in &published {
            assert_eq!(own[name], *value, "{name}");
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let error = |text: &str, split| format!("{:#}", Patient::read_all(text, split).unwrap_err());
        let good = "63,1,1,145,233,1,2,150,0,2.3,3,0,6,0\n";
        assert_eq!(error(&format!("{good}1,2\n"), Split::Own), "line 2: expected 13 attributes, found 1");
        assert_eq!(
            error(&good.replace("233", "high"), Split::Own),
            "line 1: expected a number or `?`, found `high`"
        );
        assert_eq!(
            error(&good.replace(",0\n", ",?\n"), Split::Own),
            "line 1: expected a diagnosis, found `?`"
        );
        let text = error(&format!("header\n0,held-out,{good}"), Split::Published);
        assert_eq!(text, "line 2: expected the split `train` or `test`, found `held-out`");
    }
}
