use anyhow::{Result, ensure};
use federated_core::model::{ModelError, ModelLayout, ModelParameters, TensorSpec};

use crate::hospitals::{columns::Column, patient::Patient};

/// What a hospital tells about its training patients before training: three numbers a column, and nothing else.
///
/// Each is a mean over the patients, so that federated averaging, which weighs by the number of patients, gives the
/// moments of all patients together. Values are taken as `(value - ordinary) / spread` with the public constants of
/// [`Column`]: near 0, a sum of squares loses nothing in the `f32` that travels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moments {
    /// The share of patients with a value.
    pub(crate) observed: Vec<f64>,
    /// The sum of the values, a patient.
    pub(crate) sum: Vec<f64>,
    /// The sum of the squared values, a patient.
    pub(crate) squares: Vec<f64>,
}

const TENSORS: [&str; 3] = ["observed", "sum", "squares"];

impl Moments {
    /// The moments of these patients.
    pub(crate) fn of(columns: &[Column], patients: &[Patient]) -> Result<Self> {
        ensure!(!patients.is_empty(), "expected at least 1 patient to train on, found none");
        let mean_of = |measure: fn(f64) -> f64| -> Vec<f64> {
            let scaled = |index: usize, column: &Column| {
                let values =
                    patients.iter().filter_map(|patient| patient.values.get(index).copied().flatten());
                values.map(|value| measure((value - column.ordinary) / column.spread)).sum::<f64>()
            };
            let sums = columns.iter().enumerate().map(|(index, column)| scaled(index, column));
            sums.map(|sum| sum / patients.len() as f64).collect()
        };
        Ok(Self {
            observed: mean_of(|_| 1.0),
            sum: mean_of(|value| value),
            squares: mean_of(|value| value * value),
        })
    }

    /// The tensors that carry the moments of so many columns.
    pub(crate) fn layout(columns: usize) -> Result<ModelLayout, ModelError> {
        ModelLayout::new(TENSORS.map(|name| TensorSpec::new(name, [columns as u64])).to_vec())
    }

    /// As the "model" of a round.
    pub(crate) fn to_model(&self) -> Result<ModelParameters, ModelError> {
        // What travels is f32.
        let all = [&self.observed, &self.sum, &self.squares].into_iter().flatten();
        let values = all.map(|value| *value as f32).collect();
        ModelParameters::new(Self::layout(self.observed.len())?, values)
    }

    /// From the round's result.
    pub(crate) fn from_model(model: &ModelParameters) -> Result<Self> {
        let tensor = |name| model.tensor(name).unwrap_or_default().iter().copied().map(f64::from).collect();
        let [observed, sum, squares] = TENSORS.map(tensor);
        let moments = Self { observed, sum, squares };
        Self::layout(moments.observed.len())?.check_same(model.layout())?;
        Ok(moments)
    }
}

#[cfg(test)]
mod tests {
    use federated_core::{
        aggregate::{Aggregator, WeightedBlock, WeightedMean},
        update::ExampleCount,
    };

    use super::*;
    use crate::hospitals::{hospital::Hospital, split::Split};

    #[test]
    fn the_average_of_the_hospitals_moments_is_that_of_all_patients() {
        for split in [Split::Own, Split::Published] {
            let columns = split.columns();
            let mut all = Vec::new();
            let sites = Hospital::ALL.map(|hospital| {
                let patients = Patient::read_all(&hospital.records(split), split).unwrap();
                let train = split.divide(hospital, &patients, 42).unwrap().train;
                all.extend(train.iter().cloned());
                let model = Moments::of(columns, &train).unwrap().to_model().unwrap();
                (ExampleCount::new(train.len() as u64).unwrap(), model)
            });
            let blocks = sites
                .each_ref()
                .map(|(examples, model)| WeightedBlock { examples: *examples, values: model.values() });
            let layout = Moments::layout(columns.len()).unwrap();
            let mean = ModelParameters::new(layout, WeightedMean.combine(&blocks).unwrap()).unwrap();
            let (found, expected) =
                (Moments::from_model(&mean).unwrap(), Moments::of(columns, &all).unwrap());
            for (found, expected) in [
                (found.observed, expected.observed),
                (found.sum, expected.sum),
                (found.squares, expected.squares),
            ] {
                let near = |(one, other): (f64, f64)| (one - other).abs() < 1e-6;
                assert!(found.into_iter().zip(expected).all(near), "{split}");
            }
        }
    }

    #[test]
    fn a_missing_value_counts_nowhere() {
        let column = Split::Own.columns()[0];
        let patient = |value| Patient { values: vec![value], ill: false, part: None };
        let patients = [patient(Some(70.0)), patient(None), patient(Some(40.0)), patient(None)];
        let moments = Moments::of(&[column], &patients).unwrap();
        assert_eq!((moments.observed[0], moments.sum[0], moments.squares[0]), (0.5, 0.25, 1.25));
    }

    #[test]
    fn a_model_of_other_tensors_is_no_moments() {
        let layout =
            ModelLayout::new(vec![TensorSpec::new("observed", [2]), TensorSpec::new("sum", [2])]).unwrap();
        assert!(Moments::from_model(&ModelParameters::zeros(layout).unwrap()).is_err());
        assert!(Moments::of(Split::Own.columns(), &[]).is_err());
    }
}
