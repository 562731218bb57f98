use std::sync::Arc;

use burn::{optim::SgdConfig, tensor::backend::AutodiffBackend};
use federated_core::{
    model::ModelParameters,
    privacy::dp::terms::Placement,
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};

use super::{
    BurnTrainer, DenseNetwork, LocalTrainer, StopSignal, TrainerError,
    private::{DpSgd, GradientMethod, PrivateTrainer, Randomness},
};
use crate::{
    dataset::TabularDataset,
    device::{Device, WithBackend},
};

/// Trains whatever [`DenseNetwork`] a task asks for on a table, by stochastic gradient descent; with noise in each step where the task
/// asks for that and it was said how many examples the site says that it has ([`Self::with_public_examples`]).
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
        Self::build(dataset, device, None)
    }

    /// The same for tasks with differential privacy too: `public_examples` is how many examples the site says that it has, which is no
    /// secret. It must not be counted from the table: see [`public_examples`](crate::privacy::public_examples).
    ///
    /// # Errors
    /// As [`TabularTrainer::new`].
    pub fn with_public_examples(
        dataset: TabularDataset,
        device: Device,
        public_examples: ExampleCount,
    ) -> Result<Self, TrainerError> {
        Self::build(dataset, device, Some(public_examples))
    }

    fn build(
        dataset: TabularDataset,
        device: Device,
        public_examples: Option<ExampleCount>,
    ) -> Result<Self, TrainerError> {
        let trainer = device.dispatch(OnDevice(dataset, public_examples))?;
        Ok(Self { trainer })
    }
}

impl LocalTrainer for TabularTrainer {
    fn example_count(&self) -> u64 {
        self.trainer.example_count()
    }

    fn hides_records(&self) -> bool {
        self.trainer.hides_records()
    }

    fn accepts(&self, task: &TrainTask) -> Result<(), TrainerError> {
        self.trainer.accepts(task)
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

struct OnDevice(TabularDataset, Option<ExampleCount>);

impl WithBackend for OnDevice {
    type Output = Box<dyn LocalTrainer>;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Self::Output {
        let Self(dataset, public_examples) = self;
        Box::new(DenseTrainer::<B> { dataset: Arc::new(dataset), public_examples, device })
    }
}

struct DenseTrainer<B: AutodiffBackend> {
    dataset: Arc<TabularDataset>,
    public_examples: Option<ExampleCount>,
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

    fn hides_records(&self) -> bool {
        self.public_examples.is_some()
    }

    fn accepts(&self, task: &TrainTask) -> Result<(), TrainerError> {
        self.check(&DenseNetwork::from_layout(&task.layout, &self.device)?)
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        let network = DenseNetwork::<B>::from_layout(model.layout(), &self.device)?;
        self.check(&network)?;
        let local = task.privacy.as_ref().filter(|terms| terms.placement() == Placement::Local);
        if let Some((terms, public_examples)) = local.zip(self.public_examples) {
            let (dataset, numbers) = (Arc::clone(&self.dataset), DpSgd::of_task(terms, public_examples));
            let (optimizer, method) = (SgdConfig::new().init(), GradientMethod::default());
            let trainer =
                PrivateTrainer::new(network, dataset, optimizer, numbers, method, Randomness::system());
            return trainer?.train(task, model, stop);
        }
        BurnTrainer::new(network, Arc::clone(&self.dataset), SgdConfig::new().init()).train(task, model, stop)
    }
}
