use burn::{
    backend::{Autodiff, Flex},
    module::Module,
    nn::{
        Embedding, EmbeddingConfig, GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig, Linear,
        LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{
        Int, Tensor, TensorData,
        activation::{log_softmax, relu, tanh},
        backend::{AutodiffBackend, Backend},
        module::max_pool2d,
    },
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use super::super::{PrivateLayer, PrivateModule, Tape};
use crate::dataset::{BoxError, Dataset, TabularBatch};

pub(super) type Cpu = Autodiff<Flex>;

/// Numbers between -1 and 1.
pub(super) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| f32::from((random.next_u32() >> 16) as u16) / 32_768.0 - 1.0).collect()
}

/// Examples of `width` numbers with one of three classes.
pub(super) struct Table {
    pub(super) width: usize,
    pub(super) values: Vec<f32>,
}

impl Table {
    pub(super) fn new(seed: u64, examples: usize, width: usize) -> Self {
        Self { width, values: numbers(seed, examples * width) }
    }
}

impl<B: Backend> Dataset<B> for Table {
    type Batch = TabularBatch<B>;

    fn len(&self) -> usize {
        self.values.len() / self.width
    }

    fn batch(&self, indices: &[usize], device: &B::Device) -> Result<Self::Batch, BoxError> {
        let rows: Vec<f32> = indices
            .iter()
            .flat_map(|index| self.values[index * self.width..][..self.width].to_vec())
            .collect();
        let labels: Vec<i64> = indices.iter().map(|index| *index as i64 % 3).collect();
        Ok(TabularBatch {
            features: Tensor::from_data(TensorData::new(rows, [indices.len(), self.width]), device),
            labels: Tensor::from_data(TensorData::new(labels, [indices.len()]), device),
        })
    }
}

pub(super) fn cross_entropies<B: Backend>(logits: Tensor<B, 2>, labels: Tensor<B, 1, Int>) -> Tensor<B, 1> {
    let examples = logits.dims()[0];
    log_softmax(logits, 1).gather(1, labels.reshape([examples, 1])).squeeze_dim::<1>(1).neg()
}

/// Two linear layers.
#[derive(Module, Debug)]
pub(super) struct Dense<B: Backend> {
    pub(super) hidden: Linear<B>,
    pub(super) output: Linear<B>,
}

impl<B: Backend> Dense<B> {
    pub(super) fn new(seed: u64, bias: bool) -> Self {
        let device = Default::default();
        B::seed(&device, seed);
        let linear = |from, to| LinearConfig::new(from, to).with_bias(bias).init(&device);
        Self { hidden: linear(12, 7), output: linear(7, 3) }
    }
}

impl<B: AutodiffBackend> PrivateModule<B> for Dense<B> {
    type Batch = TabularBatch<B>;

    fn layers(&self) -> Vec<&dyn PrivateLayer> {
        vec![&self.hidden, &self.output]
    }

    fn losses(&self, batch: Self::Batch, tape: &mut impl Tape<B>) -> Tensor<B, 1> {
        let hidden = tanh(tape.linear(&self.hidden, batch.features));
        cross_entropies(tape.linear(&self.output, hidden), batch.labels)
    }
}

/// Convolutions of a given shape on images of 2 channels, 9 by 8, and a linear layer; with group normalisation between.
#[derive(Module, Debug)]
pub(super) struct Images<B: Backend> {
    first: Conv2d<B>,
    norm: GroupNorm<B>,
    second: Conv2d<B>,
    output: Linear<B>,
}

impl<B: Backend> Images<B> {
    pub(super) fn new(seed: u64, first: Conv2dConfig, second: Conv2dConfig) -> Self {
        let device = Default::default();
        B::seed(&device, seed);
        let norm = GroupNormConfig::new(2, first.channels[1]).init(&device);
        let (first, second): (Conv2d<B>, Conv2d<B>) = (first.init(&device), second.init(&device));
        let image = Tensor::<B, 4>::zeros([1, 2, 9, 8], &device);
        let width = second.forward(first.forward(image)).shape().num_elements();
        Self { first, norm, second, output: LinearConfig::new(width, 3).init(&device) }
    }
}

impl<B: AutodiffBackend> PrivateModule<B> for Images<B> {
    type Batch = TabularBatch<B>;

    fn layers(&self) -> Vec<&dyn PrivateLayer> {
        vec![&self.first, &self.norm, &self.second, &self.output]
    }

    fn losses(&self, batch: Self::Batch, tape: &mut impl Tape<B>) -> Tensor<B, 1> {
        let examples = batch.features.dims()[0];
        let image = batch.features.reshape([examples, 2, 9, 8]);
        let image = tanh(tape.conv2d(&self.first, image));
        let image = tape.group_norm(&self.norm, image);
        let image = tanh(tape.conv2d(&self.second, image));
        let [_, channels, height, width] = image.dims();
        let flat = image.reshape([examples, channels * height * width]);
        cross_entropies(tape.linear(&self.output, flat), batch.labels)
    }
}

/// Words as the signs of numbers: an embedding, a layer normalisation, a linear layer at each position.
#[derive(Module, Debug)]
pub(super) struct Words<B: Backend> {
    embedding: Embedding<B>,
    norm: LayerNorm<B>,
    mixing: Linear<B>,
    output: Linear<B>,
}

impl<B: Backend> Words<B> {
    /// `width` decides whether the linear layers' gradients are kept whole.
    pub(super) fn new(seed: u64, width: usize) -> Self {
        let device = Default::default();
        B::seed(&device, seed);
        Self {
            embedding: EmbeddingConfig::new(5, width).init(&device),
            norm: LayerNormConfig::new(width).init(&device),
            mixing: LinearConfig::new(width, width).init(&device),
            output: LinearConfig::new(width, 3).with_bias(false).init(&device),
        }
    }
}

impl<B: AutodiffBackend> PrivateModule<B> for Words<B> {
    type Batch = TabularBatch<B>;

    fn layers(&self) -> Vec<&dyn PrivateLayer> {
        vec![&self.embedding, &self.norm, &self.mixing, &self.output]
    }

    fn losses(&self, batch: Self::Batch, tape: &mut impl Tape<B>) -> Tensor<B, 1> {
        let words = batch.features.mul_scalar(2.0).add_scalar(2.0).int();
        let words = tape.embedding(&self.embedding, words);
        let words = tape.layer_norm(&self.norm, words);
        let words = tanh(tape.linear(&self.mixing, words));
        let text = words.mean_dim(1).squeeze_dim(1);
        cross_entropies(tape.linear(&self.output, text), batch.labels)
    }
}

/// The network of McMahan et al. for digits, with 1,663,370 parameters.
#[derive(Module, Debug)]
pub(super) struct Digits<B: Backend> {
    first: Conv2d<B>,
    second: Conv2d<B>,
    hidden: Linear<B>,
    output: Linear<B>,
}

impl<B: Backend> Digits<B> {
    pub(super) fn new(seed: u64) -> Self {
        let device = Default::default();
        B::seed(&device, seed);
        let conv =
            |channels| Conv2dConfig::new(channels, [5, 5]).with_padding(PaddingConfig2d::Same).init(&device);
        Self {
            first: conv([1, 32]),
            second: conv([32, 64]),
            hidden: LinearConfig::new(3_136, 512).init(&device),
            output: LinearConfig::new(512, 10).init(&device),
        }
    }
}

impl<B: AutodiffBackend> PrivateModule<B> for Digits<B> {
    type Batch = TabularBatch<B>;

    fn layers(&self) -> Vec<&dyn PrivateLayer> {
        vec![&self.first, &self.second, &self.hidden, &self.output]
    }

    fn losses(&self, batch: Self::Batch, tape: &mut impl Tape<B>) -> Tensor<B, 1> {
        let examples = batch.features.dims()[0];
        let pooled = |image| relu(max_pool2d(image, [2, 2], [2, 2], [0, 0], [1, 1], false));
        let image = batch.features.reshape([examples, 1, 28, 28]);
        let image = pooled(tape.conv2d(&self.first, image));
        let image = pooled(tape.conv2d(&self.second, image));
        let hidden = relu(tape.linear(&self.hidden, image.reshape([examples, 3_136])));
        cross_entropies(tape.linear(&self.output, hidden), batch.labels)
    }
}
