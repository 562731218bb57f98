//! Dense networks as models: where training starts, and what a model says of a table.

use anyhow::Result;
use burn::backend::Flex;
use federated_client::{
    dataset::{Dataset, TabularDataset},
    parameters::{extract, load},
    trainer::DenseNetwork,
};
use federated_core::model::ModelParameters;

/// Rows that are evaluated at a time.
const ROWS: usize = 1_000;

/// The model of these sizes, features first, that all training of a seed starts from.
pub(crate) fn initial(sizes: &[usize], seed: u64) -> Result<ModelParameters> {
    Ok(extract(&DenseNetwork::<Flex>::new(sizes, seed, &Default::default())?)?)
}

/// The model's outputs for each row of a table, row after row.
pub(crate) fn logits(model: &ModelParameters, table: &TabularDataset) -> Result<Vec<f32>> {
    let device = Default::default();
    let network = load(DenseNetwork::<Flex>::from_layout(model.layout(), &device)?, model)?;
    let rows: Vec<usize> = (0..table.example_count()).collect();
    let mut logits = Vec::with_capacity(rows.len() * network.output_count());
    for rows in rows.chunks(ROWS) {
        let batch = Dataset::<Flex>::batch(table, rows, &device).map_err(anyhow::Error::from_boxed)?;
        logits.extend(network.forward(batch.features).into_data().iter::<f32>());
    }
    Ok(logits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_beyond_one_batch_are_not_forgotten() {
        let model = initial(&[1, 2], 3).unwrap();
        let rows = u16::try_from(ROWS + 1).unwrap();
        let table = |values: Vec<f32>| {
            let labels = vec![0; values.len()];
            TabularDataset::new(1, values, labels).unwrap()
        };
        let whole = logits(&model, &table((0..rows).map(f32::from).collect())).unwrap();
        assert_eq!(whole.len(), 2 * (ROWS + 1));
        assert_eq!(whole[2 * ROWS..], logits(&model, &table(vec![f32::from(rows - 1)])).unwrap()[..]);
        assert!(logits(&model, &table(Vec::new())).unwrap().is_empty());
    }
}
