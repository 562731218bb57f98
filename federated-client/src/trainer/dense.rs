use burn::{
    module::{Module, Param},
    nn::Linear,
    tensor::{
        Tensor, TensorData,
        activation::{log_sigmoid, log_softmax, relu, sigmoid, softmax},
        backend::{AutodiffBackend, Backend},
    },
};
use federated_core::model::{ModelLayout, TensorSpec};
use rand_chacha::rand_core::RngCore;

use super::{
    TrainableModule, TrainerError,
    order::generator,
    private::{Plain, PrivateLayer, PrivateModule, Tape},
};
use crate::dataset::TabularBatch;

/// A multilayer perceptron for classification: linear layers with ReLU between them.
///
/// Layer N has the tensors `layers.N.weight` of shape `[in, out]` and `layers.N.bias` of shape `[out]`. With one output
/// it tells class 1 from class 0 by a logit; with more outputs there is one logit a class.
#[derive(Module, Debug)]
pub struct DenseNetwork<B: Backend> {
    layers: Vec<Linear<B>>,
}

impl<B: Backend> DenseNetwork<B> {
    /// A network of these sizes: features first, outputs last, for instance `[13, 32, 1]`.
    ///
    /// Weights and biases are uniform between plus and minus the square root of 1 / inputs of the layer. The same seed
    /// gives the same values on every machine.
    ///
    /// # Errors
    /// [`TrainerError::UnsupportedTask`] for fewer than two sizes or a size of zero.
    pub fn new(sizes: &[usize], seed: u64, device: &B::Device) -> Result<Self, TrainerError> {
        let mut random = generator(b"federated.dense.init.v1\0", seed);
        Self::with_values(sizes, device, |count, inputs| {
            #[expect(clippy::cast_precision_loss, reason = "the bound needs no more digits than a float has")]
            let bound = (1.0 / inputs as f32).sqrt();
            (0..count).map(|_| uniform(&mut random, bound)).collect()
        })
    }

    /// The network that has this layout, with every value zero: load a model into it.
    ///
    /// # Errors
    /// [`TrainerError::UnsupportedTask`] naming the first tensor that does not belong to such a network.
    pub fn from_layout(layout: &ModelLayout, device: &B::Device) -> Result<Self, TrainerError> {
        Self::with_values(&sizes_of(layout)?, device, |count, _| vec![0.0; count])
    }

    /// Asks for the values of each weight and then each bias by their count and the layer's inputs.
    fn with_values(
        sizes: &[usize],
        device: &B::Device,
        mut values: impl FnMut(usize, usize) -> Vec<f32>,
    ) -> Result<Self, TrainerError> {
        if sizes.len() < 2 || sizes.contains(&0) {
            return Err(unsupported("at least two sizes of layers, each at least 1", format!("{sizes:?}")));
        }
        let pairs = sizes.iter().zip(sizes.iter().skip(1));
        let layers = pairs.map(|(&inputs, &outputs)| {
            let weight = TensorData::new(values(inputs * outputs, inputs), [inputs, outputs]);
            let bias = TensorData::new(values(outputs, inputs), [outputs]);
            Linear { weight: Param::from_data(weight, device), bias: Some(Param::from_data(bias, device)) }
        });
        Ok(Self { layers: layers.collect() })
    }

    /// The logits of examples: `[examples, features]` to `[examples, outputs]`.
    pub fn forward(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        self.forward_through(features, &mut Plain)
    }

    fn forward_through(&self, features: Tensor<B, 2>, tape: &mut impl Tape<B>) -> Tensor<B, 2> {
        let last = self.layers.len().saturating_sub(1);
        self.layers.iter().enumerate().fold(features, |input, (index, layer)| {
            let output = tape.linear(layer, input);
            if index < last { relu(output) } else { output }
        })
    }

    /// The probability of each output's class: of class 1 with one output, else of every class.
    pub fn probabilities(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        let logits = self.forward(features);
        if self.output_count() == 1 { sigmoid(logits) } else { softmax(logits, 1) }
    }

    /// How many outputs the network has.
    #[must_use]
    pub fn output_count(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.weight.dims()[1])
    }

    /// How many features the network takes.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.weight.dims()[0])
    }

    /// How many classes the network tells apart.
    #[must_use]
    pub fn class_count(&self) -> usize {
        self.output_count().max(2)
    }
}

impl<B: AutodiffBackend> TrainableModule<B> for DenseNetwork<B> {
    type Batch = TabularBatch<B>;

    /// Cross-entropy of the labels, which must be below [`DenseNetwork::class_count`].
    fn loss(&self, batch: TabularBatch<B>) -> Tensor<B, 1> {
        self.losses(batch, &mut Plain).mean()
    }
}

impl<B: AutodiffBackend> PrivateModule<B> for DenseNetwork<B> {
    type Batch = TabularBatch<B>;

    fn layers(&self) -> Vec<&dyn PrivateLayer> {
        self.layers.iter().map(|layer| layer as &dyn PrivateLayer).collect()
    }

    /// The cross-entropy of each label.
    fn losses(&self, batch: TabularBatch<B>, tape: &mut impl Tape<B>) -> Tensor<B, 1> {
        let logits = self.forward_through(batch.features, tape);
        let [examples, outputs] = logits.dims();
        let labels = batch.labels.reshape([examples, 1]);
        if outputs == 1 {
            // -y log s(x) - (1 - y) log(1 - s(x)), where log(1 - s(x)) = log s(x) - x.
            let absent = labels.float().neg().add_scalar(1.0);
            (absent * logits.clone() - log_sigmoid(logits)).squeeze_dim(1)
        } else {
            log_softmax(logits, 1).gather(1, labels).neg().squeeze_dim(1)
        }
    }
}

/// A number between minus and plus `bound`, from 24 random bits: as many as a float holds exactly.
fn uniform(random: &mut impl RngCore, bound: f32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "24 bits fit a float")]
    let unit = (random.next_u32() >> 8) as f32 / 16_777_216.0;
    bound * (2.0 * unit - 1.0)
}

fn unsupported(expected: impl Into<String>, found: String) -> TrainerError {
    TrainerError::UnsupportedTask { expected: expected.into(), found }
}

/// Features, hidden sizes and outputs of the network that has this layout.
fn sizes_of(layout: &ModelLayout) -> Result<Vec<usize>, TrainerError> {
    let mut sizes: Vec<u64> = Vec::new();
    for (layer, pair) in layout.tensors().chunks(2).enumerate() {
        let (weight, bias) = (pair.first(), pair.get(1));
        let (inputs, outputs) = match weight.map(|tensor| tensor.shape.as_slice()) {
            Some(&[inputs, outputs]) if sizes.last().is_none_or(|last| *last == inputs) => (inputs, outputs),
            _ => {
                let inputs = sizes.last().map_or("inputs".to_owned(), ToString::to_string);
                return Err(unsupported(
                    format!("`layers.{layer}.weight` of shape [{inputs}, outputs]"),
                    shown(weight),
                ));
            }
        };
        let expected = [
            TensorSpec::new(format!("layers.{layer}.weight"), [inputs, outputs]),
            TensorSpec::new(format!("layers.{layer}.bias"), [outputs]),
        ];
        for (expected, found) in expected.iter().zip([weight, bias]) {
            if found != Some(expected) {
                return Err(unsupported(shown(Some(expected)), shown(found)));
            }
        }
        if sizes.is_empty() {
            sizes.push(inputs);
        }
        sizes.push(outputs);
    }
    let addressable = sizes.iter().map(|size| usize::try_from(*size)).collect::<Result<_, _>>();
    addressable.map_err(|_| unsupported("sizes that this machine can address", format!("{sizes:?}")))
}

fn shown(tensor: Option<&TensorSpec>) -> String {
    tensor.map_or("nothing".to_owned(), |tensor| format!("`{}` of shape {:?}", tensor.name, tensor.shape))
}
