//! The whole of what an application writes to take part: its trainer, and six lines that run a participant.

use std::path::Path;

use federated_client::{
    ClientError, FederatedClient,
    config::ParticipantConfig,
    trainer::{LocalTrainer, StopSignal, TrainerError},
};
use federated_core::prelude::*;

use crate::service::Records;

/// Fits `length of stay = weight x age + bias` to the records of this hospital, by gradient descent.
struct StayModel(Records);

impl LocalTrainer for StayModel {
    fn example_count(&self) -> u64 {
        self.0.stays().len() as u64
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        let stays = self.0.stays();
        let mut values = model.values().to_vec();
        let mut metrics = Metrics::new();
        for _ in 0..task.work.epochs.get() {
            if stop.is_raised() {
                return Err(TrainerError::Stopped);
            }
            let error = |(age, days): &(f32, f32)| values[0] * age + values[1] - days;
            let mean =
                |of: &dyn Fn(&(f32, f32)) -> f32| stays.iter().map(of).sum::<f32>() / stays.len() as f32;
            metrics.insert("loss", f64::from(mean(&|stay| error(stay).powi(2))))?;
            let gradient = [mean(&|stay| 2.0 * error(stay) * stay.0), mean(&|stay| 2.0 * error(stay))];
            values
                .iter_mut()
                .zip(gradient)
                .for_each(|(value, slope)| *value -= task.work.learning_rate * slope);
        }
        let delta = ModelParameters::new(model.layout().clone(), values)?.minus(&model)?;
        Ok(ClientUpdate { delta, examples: ExampleCount::new(self.example_count())?, metrics })
    }
}

/// Takes part until a job has ended.
pub async fn take_part(bundle: &Path, records: Records) -> Result<(), ClientError> {
    let progress = records.clone();
    let client = FederatedClient::builder()
        .config(ParticipantConfig::load(bundle.join("participant.toml"))?)
        .trainer(StayModel(records))
        .on_event(move |event| progress.note(event))
        .keep_final_model(true)
        .stop_after_jobs(1)
        .build()?;
    client.run().await
}
