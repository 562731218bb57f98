use anyhow::Result;
use burn::{
    module::Module,
    nn::{
        Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{
        Tensor,
        activation::{log_softmax, tanh},
        backend::{AutodiffBackend, Backend},
        module::max_pool2d,
    },
};
use federated_client::{
    dataset::{Dataset, TabularBatch, TabularDataset},
    trainer::private::{Plain, PrivateLayer, PrivateModule, Tape},
};

use crate::mnist::idx::CLASSES;

/// Rows and columns of an image.
const SIDE: usize = 28;
/// The pixels of an image.
pub(crate) const PIXELS: usize = SIDE * SIDE;
/// Images that are evaluated at a time.
const ROWS: usize = 500;

/// Two convolutions and two linear layers with 26,010 parameters: small, because noise grows with the root of their number.
///
/// # References
/// Papernot et al., AAAI 2021, Table 1.
#[derive(Module, Debug)]
pub(crate) struct DigitReader<B: Backend> {
    strokes: Conv2d<B>,
    parts: Conv2d<B>,
    hidden: Linear<B>,
    output: Linear<B>,
}

impl<B: Backend> DigitReader<B> {
    /// A network with random weights.
    pub(crate) fn new(seed: u64) -> Self {
        let device = Default::default();
        B::seed(&device, seed);
        let conv = |channels, size| Conv2dConfig::new(channels, [size, size]).with_stride([2, 2]);
        Self {
            strokes: conv([1, 16], 8).with_padding(PaddingConfig2d::Explicit(2, 2, 2, 2)).init(&device),
            parts: conv([16, 32], 4).init(&device),
            hidden: LinearConfig::new(512, 32).init(&device),
            output: LinearConfig::new(32, CLASSES).init(&device),
        }
    }

    /// `[images, 784]` to `[images, 10]`.
    fn logits(&self, pixels: Tensor<B, 2>, tape: &mut impl Tape<B>) -> Tensor<B, 2> {
        let images = pixels.dims()[0];
        let pooled = |image| max_pool2d(image, [2, 2], [1, 1], [0, 0], [1, 1], false);
        let image = tape.conv2d(&self.strokes, pixels.reshape([images, 1, SIDE, SIDE]));
        let image = tape.conv2d(&self.parts, pooled(tanh(image)));
        let flat = pooled(tanh(image)).reshape([images, 512]);
        let hidden = tanh(tape.linear(&self.hidden, flat));
        tape.linear(&self.output, hidden)
    }

    /// The share of images whose digit has the largest output, 0 to 1.
    pub(crate) fn accuracy(&self, images: &TabularDataset) -> Result<f64> {
        let device = Default::default();
        let all: Vec<usize> = (0..images.example_count()).collect();
        let mut right = 0;
        for rows in all.chunks(ROWS) {
            let batch = Dataset::<B>::batch(images, rows, &device).map_err(anyhow::Error::from_boxed)?;
            let guesses = self.logits(batch.features, &mut Plain).argmax(1).into_data();
            let labels = rows.iter().filter_map(|row| images.labels().get(*row));
            right += guesses
                .iter::<i64>()
                .zip(labels)
                .filter(|(guess, label)| *guess == i64::from(**label))
                .count();
        }
        Ok(right as f64 / all.len() as f64)
    }
}

impl<B: AutodiffBackend> PrivateModule<B> for DigitReader<B> {
    type Batch = TabularBatch<B>;

    fn layers(&self) -> Vec<&dyn PrivateLayer> {
        vec![&self.strokes, &self.parts, &self.hidden, &self.output]
    }

    fn losses(&self, batch: Self::Batch, tape: &mut impl Tape<B>) -> Tensor<B, 1> {
        let images = batch.features.dims()[0];
        let logits = self.logits(batch.features, tape);
        log_softmax(logits, 1).gather(1, batch.labels.reshape([images, 1])).squeeze_dim::<1>(1).neg()
    }
}
