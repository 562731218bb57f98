use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use federated_client::dataset::TabularDataset;
use federated_core::statistics::{Answers, Estimate};

use crate::hospitals::{columns::Column, moments::Moments, patient::Patient};

/// In units of a column's `spread`: below this standard deviation a column is constant.
///
/// It stands above what rounding to `f32` makes of a constant, and far below a column that says something: one patient
/// in ten thousand makes 0.01.
const CONSTANT: f64 = 5e-3;

/// How a patient becomes the model's input: each value less its mean, divided by its standard deviation.
///
/// Mean and deviation are those of the observed values, and a missing value becomes 0, the mean. So it neither adds to
/// nor takes from the patient's score. A column that is never observed, or constant, is 0 for everyone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Normalisation {
    mean: Vec<f64>,
    /// 1 / standard deviation, or 0 for a column that says nothing.
    scale: Vec<f64>,
}

const MEAN: &str = "mean";
const SCALE: &str = "scale";

impl Normalisation {
    /// From the moments of the columns.
    pub(crate) fn new(columns: &[Column], moments: &Moments) -> Result<Self> {
        let (expected, found) = (columns.len(), moments.observed.len());
        ensure!(found == expected, "expected the moments of {expected} columns, found {found}");
        let sums = moments.observed.iter().zip(&moments.sum).zip(&moments.squares);
        let pairs = columns.iter().zip(sums).map(|(column, ((&observed, &sum), &squares))| {
            if observed <= 0.0 {
                return (column.ordinary, 0.0);
            }
            let mean = sum / observed;
            let deviation = (squares / observed - mean * mean).max(0.0).sqrt();
            let scale = if deviation < CONSTANT { 0.0 } else { 1.0 / (deviation * column.spread) };
            (column.ordinary + mean * column.spread, scale)
        });
        let (mean, scale) = pairs.unzip();
        Ok(Self { mean, scale })
    }

    /// From what is ordinary for anybody, and so no patient's: for this nothing has to be told.
    pub(crate) fn ordinary(columns: &[Column]) -> Self {
        let (mean, scale) = columns.iter().map(|column| (column.ordinary, 1.0 / column.spread)).unzip();
        Self { mean, scale }
    }

    /// From answers that have noise, and from what is ordinary: each counts as far as it is known. For columns that nothing was
    /// asked about it is what is ordinary.
    ///
    /// What is ordinary is taken to be off by a column's `spread`, and the deviation by as much. So noise makes a normalisation no
    /// worse than one without answers, and with little noise it is that of the patients.
    pub(crate) fn from_answers(columns: &[Column], answers: &Answers) -> Self {
        let pairs = columns.iter().map(|column| {
            let answer = answers.columns.iter().find(|answer| answer.column == column.name);
            let estimates = answer.and_then(|answer| Some((answer.mean?, answer.variance?)));
            let Some((mean, variance)) = estimates else { return (column.ordinary, 1.0 / column.spread) };
            let square = column.spread * column.spread;
            let mean = between(column.ordinary, column.spread, mean);
            (mean, 1.0 / between(square, square, variance).sqrt())
        });
        let (mean, scale) = pairs.unzip();
        Self { mean, scale }
    }

    /// As settings of a job: exact, since `Display` writes as many digits as tell a float from its neighbours.
    pub(crate) fn to_settings(&self) -> [(&'static str, String); 2] {
        let text = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        [(MEAN, text(&self.mean)), (SCALE, text(&self.scale))]
    }

    /// From the settings of a job.
    pub(crate) fn from_settings(settings: &BTreeMap<String, String>) -> Result<Self> {
        let numbers = |key: &str| -> Result<Vec<f64>> {
            let text =
                settings.get(key).with_context(|| format!("expected the setting `{key}`, found none"))?;
            let numbers =
                text.split(' ').map(|text| text.parse().ok().filter(|number: &f64| number.is_finite()));
            let numbers: Option<Vec<f64>> = numbers.collect();
            numbers.with_context(|| format!("setting `{key}`: expected finite numbers, found `{text}`"))
        };
        let (mean, scale) = (numbers(MEAN)?, numbers(SCALE)?);
        ensure!(
            mean.len() == scale.len(),
            "expected as many numbers in `mean` as in `scale`, found {} and {}",
            mean.len(),
            scale.len()
        );
        Ok(Self { mean, scale })
    }

    /// The patients as the model's input.
    pub(crate) fn apply(&self, patients: &[Patient]) -> Result<TabularDataset> {
        let columns = self.mean.len();
        let mut values = Vec::with_capacity(columns * patients.len());
        for patient in patients {
            let found = patient.values.len();
            ensure!(found == columns, "expected a normalisation of {found} columns, found one of {columns}");
            let pairs = self.mean.iter().zip(&self.scale);
            let scaled = patient.values.iter().zip(pairs);
            let scaled =
                scaled.map(|(value, (mean, scale))| value.map_or(0.0, |value| (value - mean) * scale));
            values.extend(scaled.map(|value| value as f32));
        }
        let labels = patients.iter().map(|patient| u32::from(patient.ill)).collect();
        Ok(TabularDataset::new(columns, values, labels)?)
    }
}

/// What is most likely between a number that is expected, give or take `off`, and one that was found with noise.
fn between(expected: f64, off: f64, found: Estimate) -> f64 {
    let weight = off * off / (off * off + found.deviation * found.deviation);
    expected + weight * (found.value - expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hospitals::split::Split;

    fn patients(ages: &[Option<f64>]) -> Vec<Patient> {
        let patient = |age: &Option<f64>| Patient { values: vec![*age], ill: age.is_none(), part: None };
        ages.iter().map(patient).collect()
    }

    fn normalised(ages: &[Option<f64>]) -> Vec<f32> {
        let (column, patients) = (&Split::Own.columns()[..1], patients(ages));
        let moments = Moments::of(column, &patients).unwrap();
        // Through the wire's f32, as in a federation.
        let moments = Moments::from_model(&moments.to_model().unwrap()).unwrap();
        let table = Normalisation::new(column, &moments).unwrap().apply(&patients).unwrap();
        (0..patients.len()).map(|index| table.row(index).unwrap().0[0]).collect()
    }

    #[test]
    fn observed_values_get_mean_0_and_deviation_1_and_missing_ones_the_mean() {
        let found = normalised(&[Some(30.0), None, Some(70.0), Some(30.0), Some(70.0)]);
        let expected = [-1.0, 0.0, 1.0, -1.0, 1.0];
        assert!(
            found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6),
            "{found:?}"
        );
    }

    #[test]
    fn what_is_constant_or_never_observed_says_nothing() {
        assert_eq!(normalised(&[Some(61.3), Some(61.3), Some(61.3), None]), [0.0; 4]);
        assert_eq!(normalised(&[None, None]), [0.0; 2]);
    }

    #[test]
    fn an_answer_counts_as_far_as_its_noise_lets_it() {
        let near = |deviation, expected: f64| {
            let found = between(50.0, 10.0, Estimate { value: 60.0, deviation });
            assert!((found - expected).abs() < 1e-9, "{found}");
        };
        near(0.0, 60.0);
        near(10.0, 55.0);
        near(1e9, 50.0);
    }

    #[test]
    fn settings_carry_every_bit() {
        let normalisation = Normalisation { mean: vec![1.0 / 3.0, -1e-17], scale: vec![0.0, 7.1e9] };
        let settings = normalisation.to_settings().map(|(key, value)| (key.to_owned(), value)).into();
        assert_eq!(Normalisation::from_settings(&settings).unwrap(), normalisation);
    }

    #[test]
    fn settings_that_say_something_else_are_refused() {
        let refused = |mean: &str, scale: &str| {
            let settings =
                [("mean", mean), ("scale", scale)].map(|(key, value)| (key.to_owned(), value.to_owned()));
            Normalisation::from_settings(&settings.into()).unwrap_err().to_string()
        };
        assert!(refused("1 2", "1").contains("found 2 and 1"));
        assert!(refused("1 NaN", "1 1").contains("setting `mean`: expected finite numbers"));
        assert!(refused("1", "").contains("setting `scale`"));
        let two = Normalisation { mean: vec![0.0; 2], scale: vec![1.0; 2] };
        assert!(two.apply(&patients(&[None])).is_err());
    }
}
