use std::num::NonZeroUsize;

use burn::{
    optim::{GradientsParams, Optimizer},
    tensor::backend::{AutodiffBackend, ExecutionError},
};
use federated_core::{
    metrics::Metrics,
    model::ModelParameters,
    strategy::BatchSize,
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};

use super::{LocalTrainer, StopSignal, TrainableModule, TrainerError, loss_meter::LossMeter, order::Order};
use crate::{
    dataset::Dataset,
    device::DeviceError,
    parameters::{ParametersError, extract, load},
};

/// The local work of federated averaging: epochs of mini-batch steps with any burn module, data set and optimiser.
///
/// Each task starts from the received model with a fresh copy of the optimiser, shuffles by the task's seed, and takes
/// the learning rate from the task. The update is the trained model minus the received one; the metric `loss` is the
/// mean loss of the last epoch, measured while training. `BatchSize::All` is one step an epoch on all examples at once,
/// which must fit the device's memory.
///
/// The same task and model give the same bits on the CPU, on processors with the same vector instructions. burn's own
/// random numbers (dropout) come from one generator in the process, which each task seeds: they repeat as long as
/// nothing else in the process draws from it.
///
/// # References
/// McMahan et al., AISTATS 2017, Algorithm 1, `ClientUpdate`.
///
/// # Examples
/// ```
/// use burn::{backend::{Autodiff, Flex}, optim::SgdConfig};
/// use federated_client::{dataset::TabularDataset, trainer::{BurnTrainer, DenseNetwork, LocalTrainer}};
///
/// let dataset = TabularDataset::new(1, vec![-1.0, 1.0], vec![0, 1])?;
/// let network = DenseNetwork::<Autodiff<Flex>>::new(&[1, 1], 7, &Default::default())?;
/// let trainer = BurnTrainer::new(network, dataset, SgdConfig::new().init());
/// assert_eq!(trainer.example_count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BurnTrainer<B: AutodiffBackend, M, D, O> {
    module: M,
    dataset: D,
    optimizer: O,
    device: B::Device,
}

impl<B, M, D, O> BurnTrainer<B, M, D, O>
where
    B: AutodiffBackend,
    M: TrainableModule<B>,
    D: Dataset<B, Batch = M::Batch>,
    O: Optimizer<M, B>,
{
    /// Trains this module on these examples with this optimiser, on the module's device.
    ///
    /// The module's float parameters are overwritten by each task's model; the optimiser must be new.
    pub fn new(module: M, dataset: D, optimizer: O) -> Self {
        let device = module.devices().into_iter().next().unwrap_or_default();
        Self { module, dataset, optimizer, device }
    }

    fn run_epochs(
        &self,
        mut module: M,
        task: &TrainTask,
        stop: &StopSignal,
    ) -> Result<(M, f64), TrainerError> {
        let examples = self.dataset.len();
        let (batch, shuffled) = batch_length(task.work.batch, examples)?;
        let mut order = Order::new(task.seed, examples, shuffled);
        let mut optimizer = self.optimizer.clone();
        let mut loss = 0.0;
        for epoch in 1..=task.work.epochs.get() {
            let mut meter = LossMeter::new();
            for indices in order.next_epoch().chunks(batch.get()) {
                if stop.is_raised() {
                    return Err(TrainerError::Stopped);
                }
                let batch = self.dataset.batch(indices, &self.device);
                let step = module.loss(batch.map_err(|source| TrainerError::Dataset { source })?);
                let value = step.clone().inner();
                let gradients = GradientsParams::from_grads(step.backward(), &module);
                module = optimizer.step(f64::from(task.work.learning_rate), module, gradients);
                let so_far = meter.add(value, indices.len()).map_err(|error| self.device_failed(&error))?;
                if !so_far.is_finite() {
                    return Err(diverged(task, epoch));
                }
            }
            loss = meter.mean().map_err(|error| self.device_failed(&error))?;
            if !loss.is_finite() {
                return Err(diverged(task, epoch));
            }
        }
        Ok((module, loss))
    }

    fn device_failed(&self, error: &ExecutionError) -> TrainerError {
        DeviceError::Failed { device: format!("{:?}", self.device), detail: error.to_string() }.into()
    }
}

impl<B, M, D, O> LocalTrainer for BurnTrainer<B, M, D, O>
where
    B: AutodiffBackend,
    M: TrainableModule<B>,
    D: Dataset<B, Batch = M::Batch>,
    O: Optimizer<M, B>,
{
    fn example_count(&self) -> u64 {
        self.dataset.len() as u64
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        if self.dataset.is_empty() {
            return Err(TrainerError::NoExamples);
        }
        let examples = ExampleCount::new(self.example_count())?;
        let module = load(self.module.clone(), &model)?;
        B::seed(&self.device, task.seed);
        let (module, loss) = self.run_epochs(module, task, stop)?;
        // The last step may have spoilt the weights after its loss was taken.
        let last = || diverged(task, task.work.epochs.get());
        let trained = extract(&module).map_err(|error| match error {
            ParametersError::Values { .. } => last(),
            other => other.into(),
        })?;
        let delta = trained.minus(&model).map_err(|_| last())?;
        let mut metrics = Metrics::new();
        metrics.insert("loss", loss)?;
        Ok(ClientUpdate { delta, examples, metrics })
    }
}

impl<B: AutodiffBackend, M: std::fmt::Debug, D, O> std::fmt::Debug for BurnTrainer<B, M, D, O> {
    /// The module and the device; data sets are private, and optimisers are not `Debug`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("BurnTrainer");
        out.field("module", &self.module).field("device", &self.device).finish_non_exhaustive()
    }
}

const fn diverged(task: &TrainTask, epoch: u32) -> TrainerError {
    TrainerError::Diverged { epoch, learning_rate: task.work.learning_rate }
}

/// How many examples make a step, and whether they are shuffled.
fn batch_length(batch: BatchSize, examples: usize) -> Result<(NonZeroUsize, bool), TrainerError> {
    let all = NonZeroUsize::new(examples).ok_or(TrainerError::NoExamples)?;
    match batch {
        BatchSize::All => Ok((all, false)),
        BatchSize::Examples(count) => Ok((NonZeroUsize::try_from(count).unwrap_or(all), true)),
        other => Err(TrainerError::UnsupportedTask {
            expected: "a batch of all or of a number of examples".to_owned(),
            found: format!("{other:?}"),
        }),
    }
}
