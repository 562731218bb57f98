use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use federated_client::dataset::TabularDataset;
use federated_core::model::ModelParameters;

use crate::{
    classification::Predictions,
    hospitals::{
        hospital::Hospital, model, moments::Moments, normalisation::Normalisation, patient::Patient,
        split::Split,
    },
};

/// The column of the diagnosis.
pub(super) const LABEL: &str = "ill";

/// The patients of all hospitals, dealt to sites.
#[derive(Debug)]
pub(super) struct Dealt {
    /// Each site's table.
    pub(super) sites: Vec<TabularDataset>,
    test: TabularDataset,
}

impl Dealt {
    /// Deals the training patients to so many sites, hospital after hospital: sites differ as hospitals do. Who is tested
    /// on follows from the seed, as in the example.
    pub(super) fn new(sites: usize, seed: u64) -> Result<Self> {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for hospital in Hospital::ALL {
            let patients = Patient::read_all(&hospital.records(Split::Own), Split::Own)?;
            let divided = Split::Own.divide(hospital, &patients, seed)?;
            train.extend(divided.train);
            test.extend(divided.test);
        }
        ensure!((1..=train.len()).contains(&sites), "expected 1 to {} sites, found {sites}", train.len());
        let columns = Split::Own.columns();
        let normalisation = Normalisation::new(columns, &Moments::of(columns, &train)?)?;
        let first = |site: usize| site * train.len() / sites;
        let own = (0..sites).map(|site| normalisation.apply(&train[first(site)..first(site + 1)]));
        Ok(Self { sites: own.collect::<Result<_>>()?, test: normalisation.apply(&test)? })
    }

    /// The model before the first round.
    pub(super) fn initial(seed: u64) -> Result<ModelParameters> {
        model::initial(Split::Own.columns().len(), seed)
    }

    /// The share of test patients that a model puts right.
    pub(super) fn accuracy(&self, trained: &ModelParameters) -> Result<f64> {
        let mut predictions = Predictions::new();
        predictions.extend(model::predict(trained, &self.test)?);
        Ok(predictions.quality().context("scores that are numbers")?.accuracy)
    }
}

/// A table as a file, exact: `Display` writes as many digits as tell a float from its neighbours.
pub(super) fn csv(table: &TabularDataset) -> Result<String> {
    let mut text = String::new();
    for index in 0..table.labels().len() {
        let (values, label) = table.row(index).context("a row for every label")?;
        if index == 0 {
            (0..values.len()).try_for_each(|column| write!(text, "column-{column},"))?;
            writeln!(text, "{LABEL}")?;
        }
        values.iter().try_for_each(|value| write!(text, "{value},"))?;
        writeln!(text, "{label}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use federated_client::dataset::read_csv;

    use super::*;

    #[test]
    fn every_patient_lies_at_one_site_and_a_file_says_the_same() {
        let dealt = Dealt::new(10, 42).unwrap();
        let counts: Vec<usize> = dealt.sites.iter().map(|site| site.labels().len()).collect();
        assert_eq!((counts.iter().sum::<usize>(), counts.len(), dealt.test.labels().len()), (613, 10, 307));
        assert!(counts.iter().all(|count| (61..=62).contains(count)));
        let folder = tempfile::tempdir().unwrap();
        let (file, table) = (folder.path().join("site.csv"), &dealt.sites[3]);
        std::fs::write(&file, csv(table).unwrap()).unwrap();
        let read = read_csv(&file, LABEL).unwrap();
        assert!((0..counts[3]).all(|index| read.row(index) == table.row(index)));
    }
}
