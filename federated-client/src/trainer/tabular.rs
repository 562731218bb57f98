use std::sync::Arc;

use burn::{optim::SgdConfig, tensor::backend::AutodiffBackend};
use federated_core::{model::ModelParameters, task::TrainTask, update::ClientUpdate};

use super::{BurnTrainer, DenseNetwork, LocalTrainer, StopSignal, TrainerError};
use crate::{
    dataset::TabularDataset,
    device::{Device, WithBackend},
};

/// Trains whatever [`DenseNetwork`] a task asks for on a table, by stochastic gradient descent.
pub struct TabularTrainer {
    trainer: Box<dyn LocalTrainer>,
}

impl TabularTrainer {
    /// Trains on this table, on this device.
    ///
    /// # Errors
    /// [`TrainerError::Device`] when the device cannot be used.
    ///
    /// # Examples
    /// ```
    /// use federated_client::{dataset::TabularDataset, device::Device, trainer::{LocalTrainer, TabularTrainer}};
    ///
    /// let dataset = TabularDataset::new(1, vec![-1.0, 1.0], vec![0, 1])?;
    /// assert_eq!(TabularTrainer::new(dataset, Device::Cpu)?.example_count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(dataset: TabularDataset, device: Device) -> Result<Self, TrainerError> {
        let trainer = device.dispatch(OnDevice(dataset))?;
        Ok(Self { trainer })
    }
}

impl LocalTrainer for TabularTrainer {
    fn example_count(&self) -> u64 {
        self.trainer.example_count()
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        self.trainer.train(task, model, stop)
    }
}

impl std::fmt::Debug for TabularTrainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TabularTrainer").field("examples", &self.example_count()).finish_non_exhaustive()
    }
}

struct OnDevice(TabularDataset);

impl WithBackend for OnDevice {
    type Output = Box<dyn LocalTrainer>;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Self::Output {
        Box::new(DenseTrainer::<B> { dataset: Arc::new(self.0), device })
    }
}

struct DenseTrainer<B: AutodiffBackend> {
    dataset: Arc<TabularDataset>,
    device: B::Device,
}

impl<B: AutodiffBackend> DenseTrainer<B> {
    fn check(&self, network: &DenseNetwork<B>) -> Result<(), TrainerError> {
        let (features, classes) = (self.dataset.feature_count(), network.class_count());
        if network.feature_count() != features {
            let expected =
                format!("a network of {features} inputs, as many as the table has feature columns");
            let found = format!("one of {}", network.feature_count());
            return Err(TrainerError::UnsupportedTask { expected, found });
        }
        match self.dataset.labels().iter().max() {
            Some(&label) if label as usize >= classes => Err(TrainerError::UnsupportedTask {
                expected: format!(
                    "a network for at least {} classes, as the table's labels go up to {label}",
                    label + 1
                ),
                found: format!("one for {classes}"),
            }),
            _ => Ok(()),
        }
    }
}

impl<B: AutodiffBackend> LocalTrainer for DenseTrainer<B> {
    fn example_count(&self) -> u64 {
        self.dataset.example_count() as u64
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        let network = DenseNetwork::<B>::from_layout(model.layout(), &self.device)?;
        self.check(&network)?;
        BurnTrainer::new(network, Arc::clone(&self.dataset), SgdConfig::new().init()).train(task, model, stop)
    }
}
