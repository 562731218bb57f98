use burn::{optim::Optimizer, tensor::backend::AutodiffBackend};
use federated_core::{
    metrics::Metrics, model::ModelParameters, privacy::dp::terms::Placement, task::TrainTask,
    update::ClientUpdate,
};

use super::{
    super::{LocalTrainer, StopSignal, TrainerError},
    ClippedGradients, DpSgd, ExactNoise, GradientMethod, NoiseSource, PoissonBatches, PrivateError,
    PrivateModule, PrivateWork, Randomness,
    check::{check_examples, check_layers},
};
use crate::{
    dataset::Dataset,
    parameters::{ParametersError, extract, load},
};

/// Local work with differential privacy for each example: the update, and the update alone, may leave the site.
///
/// # Privacy
/// Of the examples, nothing but the noised sums goes into what [`LocalTrainer::train`] returns: no loss and no other metric, for
/// they would need noise and budget of their own; and the number of examples is [`DpSgd::public_examples`]. What an error says is for
/// the site's own log; the coordinator is told no more than that the task failed, and that much an example can cause (a gradient that is
/// not finite).
///
/// Each task starts from the received model and takes the steps of [`DpSgd`] with the learning rate of the task; its epochs and
/// batch size mean nothing here. A task that says itself how much noise its steps have ([`TrainTask::privacy`], with noise at the
/// site) is done as it says; what it costs was counted by the participant's session before. The guarantee is for adding or removing
/// one example, and for whoever sees all updates.
///
/// It counts no budget: [`PrivateTrainer::planned`] is what a task will cost, to be reserved before; [`PrivateTrainer::done`] is what
/// it has. A task that fails or is withdrawn has released nothing, and may count as spent all the same.
///
/// Unlike other trainers it does not give the same update for the same task twice: batches and noise come from the system.
///
/// # Examples
/// See [`PrivateModule`] for the module; `dataset` is any [`Dataset`] of its batches.
/// ```no_run
/// # use burn::{optim::{Optimizer, SgdConfig}, tensor::backend::AutodiffBackend};
/// # use federated_client::{dataset::Dataset, trainer::private::*};
/// # use federated_core::{privacy::dp::*, update::ExampleCount};
/// # fn trainer<B: AutodiffBackend, M: PrivateModule<B>, D: Dataset<B, Batch = M::Batch>>(module: M, dataset: D)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let numbers = DpSgd {
///     noise_multiplier: NoiseMultiplier::new(1.1)?,
///     clip: ClipNorm::new(1.0)?,
///     sampling_rate: SamplingRate::new(0.01)?,
///     steps: 500.try_into()?,
///     public_examples: ExampleCount::new(60_000)?,
/// };
/// let trainer = PrivateTrainer::new(module, dataset, SgdConfig::new().init(), numbers, GradientMethod::default(), Randomness::system())?;
/// assert_eq!(trainer.planned().steps, 500);
/// # Ok(())
/// # }
/// ```
pub struct PrivateTrainer<B: AutodiffBackend, M, D, O> {
    module: M,
    dataset: D,
    optimizer: O,
    numbers: DpSgd,
    method: GradientMethod,
    randomness: Randomness,
    device: B::Device,
    done: Option<PrivateWork>,
}

impl<B, M, D, O> PrivateTrainer<B, M, D, O>
where
    B: AutodiffBackend,
    M: PrivateModule<B>,
    D: Dataset<B, Batch = M::Batch>,
    O: Optimizer<M, B>,
{
    /// Trains this module on these examples with this optimiser, on the module's device.
    ///
    /// The module's float parameters are overwritten by each task's model; the optimiser must be new, and clip nothing.
    ///
    /// # Errors
    /// [`PrivateError`] when the module has a layer that cannot be trained with privacy, or does not work on each example by
    /// itself, as far as trying the first two examples shows.
    pub fn new(
        module: M,
        dataset: D,
        optimizer: O,
        numbers: DpSgd,
        method: GradientMethod,
        randomness: Randomness,
    ) -> Result<Self, PrivateError> {
        let device = module.devices().into_iter().next().unwrap_or_default();
        check_layers(&module)?;
        check_examples(&module, &dataset, &device, method)?;
        Ok(Self { module, dataset, optimizer, numbers, method, randomness, device, done: None })
    }

    /// What each task costs that does not say how much noise it wants.
    #[must_use]
    pub const fn planned(&self) -> PrivateWork {
        self.numbers.work(self.randomness.is_simulated())
    }

    /// What the last task has cost, and `None` before the first. Steps that were begun count.
    #[must_use]
    pub const fn done(&self) -> Option<PrivateWork> {
        self.done
    }

    /// What a task asks for, or what was agreed on when it asks for nothing.
    fn numbers_for(&self, task: &TrainTask) -> DpSgd {
        let terms = task.privacy.as_ref().filter(|terms| terms.placement() == Placement::Local);
        terms.map_or(self.numbers, |terms| DpSgd::of_task(terms, self.numbers.public_examples))
    }

    fn run_steps(
        &mut self,
        numbers: DpSgd,
        mut module: M,
        learning_rate: f64,
        stop: &StopSignal,
        noise: &mut dyn NoiseSource,
    ) -> Result<M, TrainerError> {
        let DpSgd { noise_multiplier, clip, sampling_rate, .. } = numbers;
        let scale = numbers.expected_batch().recip();
        let mut work = PrivateWork { steps: 0, ..numbers.work(self.randomness.is_simulated()) };
        let generator = self.randomness.generator()?;
        let mut batches = PoissonBatches::new(generator, self.dataset.len(), sampling_rate);
        let mut sum = ClippedGradients::new(&module, clip, self.method)?;
        let mut optimizer = self.optimizer.clone();
        for _ in 0..numbers.steps.get() {
            if stop.is_raised() {
                return Err(TrainerError::Stopped);
            }
            work.steps += 1;
            self.done = Some(work);
            sum.clear();
            sum.add(&module, &self.dataset, &batches.next_batch(), &self.device)?;
            let noised = noise.add(sum.values_mut(), noise_multiplier, clip);
            noised.map_err(|source| PrivateError::Noise { source })?;
            let gradients = sum.scaled(&module, scale);
            module = optimizer.step(learning_rate, module, gradients);
        }
        Ok(module)
    }

    /// Does the task with this noise instead of that of [`ExactNoise`].
    ///
    /// # Errors
    /// As [`LocalTrainer::train`].
    pub fn train_with_noise(
        &mut self,
        task: &TrainTask,
        model: &ModelParameters,
        stop: &StopSignal,
        noise: &mut dyn NoiseSource,
    ) -> Result<ClientUpdate, TrainerError> {
        let numbers = self.numbers_for(task);
        self.done = Some(PrivateWork { steps: 0, ..numbers.work(self.randomness.is_simulated()) });
        let module = load(self.module.clone(), model)?;
        B::seed(&self.device, task.seed);
        let learning_rate = task.work.learning_rate;
        let module = self.run_steps(numbers, module, f64::from(learning_rate), stop, noise)?;
        let diverged = || TrainerError::Diverged { epoch: 1, learning_rate };
        let trained = extract(&module).map_err(|error| match error {
            ParametersError::Values { .. } => diverged(),
            other => other.into(),
        })?;
        let delta = trained.minus(model).map_err(|_| diverged())?;
        Ok(ClientUpdate { delta, examples: self.numbers.public_examples, metrics: Metrics::new() })
    }
}

impl<B, M, D, O> LocalTrainer for PrivateTrainer<B, M, D, O>
where
    B: AutodiffBackend,
    M: PrivateModule<B>,
    D: Dataset<B, Batch = M::Batch>,
    O: Optimizer<M, B>,
{
    fn example_count(&self) -> u64 {
        self.numbers.public_examples.get().into()
    }

    fn hides_records(&self) -> bool {
        true
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        let mut noise = ExactNoise::new(self.randomness.generator()?);
        self.train_with_noise(task, &model, stop, &mut noise)
    }
}

impl<B: AutodiffBackend, M, D, O> std::fmt::Debug for PrivateTrainer<B, M, D, O> {
    /// The numbers: data sets are private, and optimisers are not `Debug`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("PrivateTrainer");
        out.field("numbers", &self.numbers).field("method", &self.method).finish_non_exhaustive()
    }
}
