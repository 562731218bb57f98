//! The model, logistic regression: where it starts, how it is trained in one place, and what it predicts.

use anyhow::Result;
use federated_client::{
    dataset::TabularDataset,
    device::Device,
    trainer::{LocalTrainer, StopSignal, TabularTrainer},
};
use federated_core::{
    compression::Encoding,
    ids::{RoundNumber, TaskId},
    model::ModelParameters,
    task::{TrainTask, task_seed},
};

use crate::{
    dense::{self, logits},
    hospitals::recipe::Recipe,
};

/// The model that all training of a seed starts from.
pub(crate) fn initial(columns: usize, seed: u64) -> Result<ModelParameters> {
    dense::initial(&[columns, 1], seed)
}

/// Trains on one table with the very trainer that the hospitals use, for as many epochs as the federation.
pub(crate) fn train_in_one_place(
    name: &str,
    table: TabularDataset,
    device: Device,
    recipe: &Recipe,
    seed: u64,
) -> Result<ModelParameters> {
    let initial = initial(table.feature_count(), seed)?;
    let id = TaskId { job: "in-one-place".parse()?, round: RoundNumber::FIRST, attempt: 1 };
    let task = TrainTask {
        seed: task_seed(seed, &id, &name.parse()?),
        id,
        rounds: 1,
        layout: initial.layout().clone(),
        model: initial.digest(),
        work: recipe.work_in_one_place()?,
        cohort_size: 1,
        encoding: Encoding::PLAIN,
        settings: Default::default(),
        secure: None,
        privacy: None,
    };
    let layout = initial.layout().clone();
    let mut values = initial.values().to_vec();
    let update = TabularTrainer::new(table, device)?.train(&task, initial, &StopSignal::new())?;
    recipe.strategy()?.build().apply(&mut values, update.delta.values());
    Ok(ModelParameters::new(layout, values)?)
}

/// The model's score of each row of a table, with the row's label. A score above 0 predicts the illness.
pub(crate) fn predict(model: &ModelParameters, table: &TabularDataset) -> Result<Vec<(f32, bool)>> {
    let labels = table.labels().iter().map(|label| *label == 1);
    Ok(logits(model, table)?.into_iter().zip(labels).collect())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use federated_core::model::{ModelLayout, TensorSpec};

    use super::*;
    use crate::hospitals::recipe::Learning;

    fn table() -> TabularDataset {
        let (values, labels) =
            (0..40).map(|n| (f32::from(n as u8) / 10.0 - 1.95, u32::from(n >= 20))).unzip();
        TabularDataset::new(1, values, labels).unwrap()
    }

    fn trained(name: &str, seed: u64) -> ModelParameters {
        let number = |number| NonZeroU32::new(number).unwrap();
        let recipe = Recipe {
            rounds: number(20),
            learning: Learning::Fedavg,
            local_epochs: number(2),
            batch_size: number(8),
            learning_rate: 0.1,
            compression: Encoding::PLAIN,
            secure_aggregation: false,
            privacy: None,
        };
        train_in_one_place(name, table(), Device::Cpu, &recipe, seed).unwrap()
    }

    #[test]
    fn the_score_is_the_weighted_sum_of_the_columns_and_the_bias() {
        let layout = ModelLayout::new(vec![
            TensorSpec::new("layers.0.weight", [2, 1]),
            TensorSpec::new("layers.0.bias", [1]),
        ]);
        let model = ModelParameters::new(layout.unwrap(), vec![2.0, -1.0, 0.5]).unwrap();
        assert_eq!(model.layout(), initial(2, 1).unwrap().layout());
        let table = TabularDataset::new(2, vec![1.0, 1.0, -1.0, 3.0], vec![1, 0]).unwrap();
        assert_eq!(predict(&model, &table).unwrap(), [(1.5, true), (-4.5, false)]);
    }

    #[test]
    fn training_in_one_place_learns_and_repeats() {
        let model = trained("cleveland", 42);
        let right = predict(&model, &table()).unwrap();
        let right = right.iter().filter(|(score, label)| (*score > 0.0) == *label).count();
        assert!(right >= 38, "{right} of 40");
        assert_eq!(model.digest(), trained("cleveland", 42).digest());
        assert_ne!(model.digest(), trained("va", 42).digest());
        assert_ne!(model.digest(), trained("cleveland", 43).digest());
    }
}
