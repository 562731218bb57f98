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
        let (stays, rate) = (self.0.stays(), task.work.learning_rate);
        let mut values = model.values().to_vec();
        for _ in 0..task.work.epochs.get() {
            if stop.is_raised() {
                return Err(TrainerError::Stopped);
            }
            let error = |(age, days): &(f32, f32)| values[0] * age + values[1] - days;
            let mean =
                |of: &dyn Fn(&(f32, f32)) -> f32| stays.iter().map(of).sum::<f32>() / stays.len() as f32;
            let (slope, offset) = (mean(&|stay| error(stay) * stay.0), mean(&error));
            values = vec![values[0] - rate * 2.0 * slope, values[1] - rate * 2.0 * offset];
        }
        let delta = ModelParameters::new(model.layout().clone(), values)?.minus(&model)?;
        let examples = ExampleCount::new(self.example_count())?;
        Ok(ClientUpdate { delta, examples, metrics: Metrics::new() })
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
