use std::num::NonZeroU32;

use anyhow::{Context, Result};
use burn::{
    backend::{Autodiff, Flex},
    module::AutodiffModule,
    optim::{Optimizer, SgdConfig, momentum::MomentumConfig},
};
use federated_client::trainer::private::{DpSgd, Sampling};
use federated_core::{
    compression::Encoding,
    ids::{RoundNumber, TaskId},
    model::ModelParameters,
    privacy::dp::{ClipNorm, Target},
    strategy::{BatchSize, LocalWork},
    task::TrainTask,
    update::ExampleCount,
};

/// How a site trains with differential privacy, but for the noise, which follows from the budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Recipe {
    /// Passes over the images; each is a task.
    pub(crate) epochs: NonZeroU32,
    /// Images in a batch, on average.
    pub(crate) batch: NonZeroU32,
    /// Step size.
    pub(crate) learning_rate: f32,
    /// What an image's gradient is clipped to.
    pub(crate) clip: f64,
    /// The share of the last step's direction that the next one keeps.
    pub(crate) momentum: f64,
}

impl Recipe {
    /// What was published for this network and these images, and not chosen by looking at them here: choosing would be a release.
    ///
    /// # References
    /// Tramèr and Boneh, ICLR 2021, *Differentially private learning needs better features (or much more data)*: the network
    /// `MNIST_CNN` and the command for end-to-end networks in <https://github.com/ftramer/Handcrafted-DP> (batches of 512,
    /// step size 0.5, momentum 0.9, clip norm 0.1, 40 passes). Papernot et al., AAAI 2021, *Tempered sigmoid activations
    /// for deep learning with differential privacy*: tanh instead of ReLU.
    pub(crate) const PUBLISHED: Self = Self {
        epochs: NonZeroU32::MIN.saturating_add(39),
        batch: NonZeroU32::MIN.saturating_add(511),
        learning_rate: 0.5,
        clip: 0.1,
        momentum: 0.9,
    };

    /// The numbers of each task for so many images: nothing else of the images goes in.
    pub(crate) fn numbers(&self, target: Target, images: u64) -> Result<DpSgd> {
        let public_examples = ExampleCount::new(images)?;
        let sampling = Sampling::passes(public_examples, self.batch, NonZeroU32::MIN);
        Ok(DpSgd {
            noise_multiplier: sampling.least_noise(target, self.epochs)?,
            clip: ClipNorm::new(self.clip)?,
            sampling_rate: sampling.rate,
            steps: sampling.steps,
            public_examples,
        })
    }

    /// A new optimiser.
    pub(crate) fn optimizer<M: AutodiffModule<Autodiff<Flex>>>(
        &self,
    ) -> impl Optimizer<M, Autodiff<Flex>> + use<M> {
        let momentum = MomentumConfig { momentum: self.momentum, dampening: 0.0, nesterov: false };
        SgdConfig::new().with_momentum(Some(momentum)).init()
    }

    /// The task of a pass, as a job would have it with one participant.
    pub(crate) fn task(&self, pass: u32, model: &ModelParameters) -> Result<TrainTask> {
        let round = RoundNumber::new(pass).context("passes are counted from 1")?;
        Ok(TrainTask {
            id: TaskId { job: "mnist".parse()?, round, attempt: 1 },
            rounds: self.epochs.get(),
            layout: model.layout().clone(),
            model: model.digest(),
            work: LocalWork {
                epochs: NonZeroU32::MIN,
                batch: BatchSize::Examples(self.batch),
                learning_rate: self.learning_rate,
            },
            seed: 0,
            cohort_size: 1,
            encoding: Encoding::PLAIN,
            settings: Default::default(),
            secure: None,
            privacy: None,
        })
    }
}
