//! What the hospitals tell about their patients before they train with differential privacy: federated statistics, where without it
//! they tell the exact [`Moments`](crate::hospitals::moments::Moments).

use anyhow::{Context, Result};
use federated_client::statistics::RecordTable;
use federated_core::{
    config::JobConfig,
    privacy::dp::terms::PrivacyTerms,
    statistics::{Answers, Bounds, Question, Questions, StatisticsError},
};

use crate::{
    federation::Finished,
    hospitals::{columns::Column, patient::Patient},
};

/// More training patients than a hospital has, as everybody may know.
const MOST_PATIENTS: u32 = 400;

/// Asks for mean and variance of the columns that are measured.
///
/// Not of those that say yes or no: they are between 0 and 1 anyhow, and the noise on each answer grows with the number of
/// questions.
pub(crate) fn questions(columns: &[Column]) -> Result<Questions, StatisticsError> {
    let measured = columns.iter().filter(|column| column.range.1 > 1.0);
    let question = |column: &Column| {
        let (lower, upper) = column.range;
        Ok(Question::new(column.name, Bounds::new(lower, upper)?)?.with_moments())
    };
    Questions::new(measured.map(question).collect::<Result<_, StatisticsError>>()?)
}

/// These patients as records, each column under its name.
pub(crate) fn records(columns: &[Column], patients: &[Patient]) -> Result<RecordTable> {
    let values = patients.iter().flat_map(|patient| patient.values.iter().copied()).collect();
    Ok(RecordTable::new(columns.iter().map(|column| column.name), values)?)
}

/// The table of a job whose answers are masked, too: no value may be beyond its clip, and all hospitals weigh the same.
pub(crate) fn secure_table(questions: &Questions, job: &str) -> Result<String> {
    let clip = questions.reach(MOST_PATIENTS, terms(job)?.as_ref()).ceil();
    Ok(format!("[privacy.secure_aggregation]\nclip = {clip:?}\nmax_examples = 1\n"))
}

/// What the hospitals answered in this job.
pub(crate) fn answers(columns: &[Column], job: &str, done: &Finished) -> Result<Answers> {
    let round = done.status.history.last().context("a job that completed has a round")?;
    let sites = u32::try_from(round.contributors.len())?.try_into().context("a round has contributors")?;
    Ok(questions(columns)?.answers(&done.model, sites, terms(job)?.as_ref())?)
}

fn terms(job: &str) -> Result<Option<PrivacyTerms>> {
    Ok(JobConfig::parse(job)?.privacy)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use federated_core::statistics::SiteTotals;

    use super::*;
    use crate::hospitals::{
        hospital::Hospital, moments::Moments, normalisation::Normalisation, split::Split,
    };

    #[test]
    fn without_noise_the_normalisation_is_that_of_the_moments() {
        for split in [Split::Own, Split::Published] {
            let (columns, asked) = (split.columns(), questions(split.columns()).unwrap());
            let names: Vec<&str> = asked.questions().iter().map(Question::column).collect();
            let expected = ["age", "trestbps", "chol", "thalach", "oldpeak", "ca"];
            assert_eq!(names, expected[..expected.len() - usize::from(split == Split::Published)]);
            let mut patients = Vec::new();
            for hospital in Hospital::ALL {
                patients.extend(Patient::read_all(&hospital.records(split), split).unwrap());
            }
            // As the answers have it: beyond the range counts as its end.
            for patient in &mut patients {
                for (value, column) in patient.values.iter_mut().zip(columns) {
                    *value = value.map(|value| value.clamp(column.range.0, column.range.1));
                }
            }
            let mut totals = SiteTotals::new(&asked);
            let table = records(columns, &patients).unwrap();
            let mut add = |record: &[Option<f64>]| {
                totals.add(record).unwrap();
                std::ops::ControlFlow::Continue(())
            };
            federated_client::statistics::Records::read(&table, &names, &mut add).unwrap();
            let model = asked.to_model(totals.steps(), None).unwrap();
            let answers = asked.answers(&model, NonZeroU32::MIN, None).unwrap();
            let found = Normalisation::from_answers(columns, &answers).apply(&patients).unwrap();
            let moments = Moments::of(columns, &patients).unwrap();
            let expected = Normalisation::new(columns, &moments).unwrap().apply(&patients).unwrap();
            for patient in 0..patients.len() {
                let rows = found.row(patient).unwrap().0.iter().zip(expected.row(patient).unwrap().0);
                for (column, (found, expected)) in columns.iter().zip(rows) {
                    let asked = names.contains(&column.name);
                    assert!(!asked || (found - expected).abs() < 1e-4, "{}: {found} {expected}", column.name);
                }
            }
        }
    }

    #[test]
    fn the_ranges_are_wide_enough_for_nearly_everybody() {
        let columns = Split::Own.columns();
        for hospital in Hospital::ALL {
            for patient in Patient::read_all(&hospital.records(Split::Own), Split::Own).unwrap() {
                let measured = patient
                    .values
                    .iter()
                    .zip(columns)
                    .filter_map(|(value, column)| Some(((*value)?, column)));
                let beyond = measured
                    .filter(|(value, column)| *value < column.range.0 || *value > column.range.1)
                    .count();
                assert!(beyond <= 2, "{patient:?}");
            }
        }
    }
}
