use anyhow::Result;

use crate::hospitals::{hospital::Hospital, patient::Patient, split::Split};

/// The patients of all four hospitals: what the model is for.
#[derive(Debug)]
pub(crate) struct Patients {
    /// How many columns each has.
    pub(crate) columns: usize,
    /// Row after row, scaled with public constants; 0 where a value is missing.
    pub(crate) values: Vec<f32>,
    /// Whether each is ill.
    pub(crate) labels: Vec<u32>,
}

impl Patients {
    pub(crate) fn read() -> Result<Self> {
        let columns = Split::Own.columns();
        let mut patients = Self { columns: columns.len(), values: Vec::new(), labels: Vec::new() };
        for hospital in Hospital::ALL {
            for patient in Patient::read_all(&hospital.records(Split::Own), Split::Own)? {
                let scaled = columns.iter().zip(&patient.values).map(|(column, value)| {
                    value.map_or(0.0, |value| ((value - column.ordinary) / column.spread) as f32)
                });
                patients.values.extend(scaled);
                patients.labels.push(u32::from(patient.ill));
            }
        }
        Ok(patients)
    }

    pub(crate) const fn count(&self) -> usize {
        self.labels.len()
    }

    /// Each patient's columns and label.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[f32], u32)> {
        self.values.chunks(self.columns).zip(self.labels.iter().copied())
    }
}
