use std::collections::HashSet;

use burn::{
    module::{Param, ParamId},
    nn::{Embedding, GroupNorm, LayerNorm, Linear, conv::Conv2d},
    tensor::{
        Int, Tensor,
        backend::{AutodiffBackend, Backend},
    },
};

use super::{
    PrivateError,
    layers::{self, Entry, Part},
};

/// What a module's forward pass goes through: one method for each kind of layer that can be trained with privacy.
///
/// [`Plain`] does what the layers do, for evaluation as well; [`Recording`] also keeps what the gradient of each example can be
/// told from.
pub trait Tape<B: Backend> {
    /// As [`Linear::forward`]. The first dimension is the examples.
    fn linear<const D: usize>(&mut self, layer: &Linear<B>, input: Tensor<B, D>) -> Tensor<B, D> {
        layer.forward(input)
    }

    /// As [`Conv2d::forward`].
    fn conv2d(&mut self, layer: &Conv2d<B>, input: Tensor<B, 4>) -> Tensor<B, 4> {
        layer.forward(input)
    }

    /// As [`Embedding::forward`].
    fn embedding(&mut self, layer: &Embedding<B>, indices: Tensor<B, 2, Int>) -> Tensor<B, 3> {
        layer.forward(indices)
    }

    /// As [`LayerNorm::forward`]. The first dimension is the examples.
    fn layer_norm<const D: usize>(&mut self, layer: &LayerNorm<B>, input: Tensor<B, D>) -> Tensor<B, D> {
        layer.forward(input)
    }

    /// As [`GroupNorm::forward`].
    fn group_norm<const D: usize>(&mut self, layer: &GroupNorm<B>, input: Tensor<B, D>) -> Tensor<B, D> {
        layer.forward(input)
    }
}

/// The layers as they are: nothing is recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl<B: Backend> Tape<B> for Plain {}

/// Keeps, for each layer, what it was given and a place where the gradient of what it gave will be found.
///
/// Weights take no part in the backward pass: it stops at the layers' outputs, which is all that is needed, and saves the products for
/// gradients that nobody reads.
pub struct Recording<B: AutodiffBackend> {
    examples: usize,
    entries: Vec<Entry<B>>,
    recorded: HashSet<ParamId>,
    failure: Option<Failure>,
}

/// The first thing that cannot be recorded.
#[derive(Clone, Copy)]
enum Failure {
    UsedTwice(ParamId),
    Examples { place: &'static str, found: usize },
}

impl<B: AutodiffBackend> Recording<B> {
    /// For a batch of so many examples.
    pub(super) fn new(examples: usize) -> Self {
        Self { examples, entries: Vec::new(), recorded: HashSet::new(), failure: None }
    }

    /// What each layer adds, given the gradients.
    ///
    /// # Errors
    /// When a pass cannot be told example by example; `name` gives the path of a parameter.
    pub(super) fn finish(
        self,
        gradients: &mut B::Gradients,
        expected: &[(ParamId, &str)],
    ) -> Result<Vec<Part<B::InnerBackend>>, PrivateError> {
        let name = |id| expected.iter().find(|known| known.0 == id).map_or("?", |known| known.1).to_owned();
        match self.failure {
            Some(Failure::UsedTwice(id)) => return Err(PrivateError::UsedTwice { parameter: name(id) }),
            Some(Failure::Examples { place, found }) => {
                return Err(PrivateError::Examples { place, expected: self.examples, found });
            }
            None => {}
        }
        if let Some((_, name)) = expected.iter().find(|known| !self.recorded.contains(&known.0)) {
            return Err(PrivateError::NotRecorded { parameter: (*name).to_owned() });
        }
        Ok(self.entries.into_iter().flat_map(|entry| entry(gradients)).collect())
    }

    /// Notes that a layer is passed: `false` when it cannot be recorded.
    fn enter(&mut self, place: &'static str, examples: usize, trained: &[Option<ParamId>]) -> bool {
        let twice = trained.iter().flatten().find(|id| !self.recorded.insert(**id));
        let failure = if examples == self.examples {
            twice.map(|id| Failure::UsedTwice(*id))
        } else {
            Some(Failure::Examples { place, found: examples })
        };
        self.failure = self.failure.or(failure);
        failure.is_none()
    }
}

impl<B: AutodiffBackend> std::fmt::Debug for Recording<B> {
    /// How much is recorded: what is, is private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("layers", &self.entries.len()).finish_non_exhaustive()
    }
}

impl<B: AutodiffBackend> Tape<B> for Recording<B> {
    fn linear<const D: usize>(&mut self, layer: &Linear<B>, input: Tensor<B, D>) -> Tensor<B, D> {
        let trained = [trained(Some(&layer.weight)), trained(layer.bias.as_ref())];
        if !self.enter("linear layer", input.dims()[0], &trained) {
            return layer.forward(input);
        }
        let (output, entry) = layers::linear(layer, input, trained, self.entries.is_empty());
        self.entries.push(entry);
        output
    }

    fn conv2d(&mut self, layer: &Conv2d<B>, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let trained = [trained(Some(&layer.weight)), trained(layer.bias.as_ref())];
        if !self.enter("convolution", input.dims()[0], &trained) {
            return layer.forward(input);
        }
        let (output, entry) = layers::conv2d(layer, input, trained, self.entries.is_empty());
        self.entries.push(entry);
        output
    }

    fn embedding(&mut self, layer: &Embedding<B>, indices: Tensor<B, 2, Int>) -> Tensor<B, 3> {
        let trained = [trained(Some(&layer.weight))];
        if !self.enter("embedding", indices.dims()[0], &trained) {
            return layer.forward(indices);
        }
        let (output, entry) = layers::embedding(layer, indices, trained);
        self.entries.push(entry);
        output
    }

    fn layer_norm<const D: usize>(&mut self, layer: &LayerNorm<B>, input: Tensor<B, D>) -> Tensor<B, D> {
        let trained = [trained(Some(&layer.gamma)), trained(layer.beta.as_ref())];
        if !self.enter("layer normalisation", input.dims()[0], &trained) {
            return layer.forward(input);
        }
        let (output, entry) = layers::layer_norm(layer, input, trained, self.entries.is_empty());
        self.entries.push(entry);
        output
    }

    fn group_norm<const D: usize>(&mut self, layer: &GroupNorm<B>, input: Tensor<B, D>) -> Tensor<B, D> {
        let trained = [trained(layer.gamma.as_ref()), trained(layer.beta.as_ref())];
        if !self.enter("group normalisation", input.dims()[0], &trained) {
            return layer.forward(input);
        }
        let (output, entry) = layers::group_norm(layer, input, trained, self.entries.is_empty());
        self.entries.push(entry);
        output
    }
}

/// The parameter, if it trains.
fn trained<B: Backend, const D: usize>(param: Option<&Param<Tensor<B, D>>>) -> Option<ParamId> {
    param.filter(|param| param.is_require_grad()).map(|param| param.id)
}
