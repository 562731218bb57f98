use burn::tensor::backend::ExecutionError;
use federated_core::fault::Fault;

use super::super::TrainerError;
use crate::dataset::BoxError;

/// Why a module cannot be trained with differential privacy, or a step of it not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateError {
    /// Batch normalisation.
    #[error(
        "layer `{layer}` is a batch normalisation: it makes an example's gradient depend on the other examples in its batch, and \
         keeps statistics of them without noise, so clipping examples one by one protects none of them; use GroupNorm or \
         LayerNorm instead"
    )]
    BatchNormalisation {
        /// The path of the layer.
        layer: String,
    },
    /// A parameter of a layer whose gradients per example are not known.
    #[error(
        "parameter `{parameter}` of a {kind} is not in a layer that `PrivateModule::layers` lists: its gradient would be taken \
         without clipping; build it of Linear, Conv2d, Embedding, LayerNorm and GroupNorm and list them, or freeze it with `no_grad`"
    )]
    UnknownLayer {
        /// The path of the parameter.
        parameter: String,
        /// The type of module that has it.
        kind: String,
    },
    /// Nothing to train.
    #[error("expected a module with at least one parameter that trains, found none")]
    NothingTrains,
    /// A layer was passed twice in one forward pass.
    #[error(
        "parameter `{parameter}` was used twice in one forward pass: the norm of its gradient is not the sum of both; use \
         `GradientMethod::Exact`, or two layers"
    )]
    UsedTwice {
        /// The path of the parameter.
        parameter: String,
    },
    /// A layer that is listed was not passed.
    #[error(
        "parameter `{parameter}` was not used through the tape in a forward pass: call the tape's method for its layer, not the \
         layer's `forward`, on every batch"
    )]
    NotRecorded {
        /// The path of the parameter.
        parameter: String,
    },
    /// What a layer or the loss was given does not have the examples in its first dimension.
    #[error("{place}: expected {expected} in the first dimension, one row an example, found {found}")]
    Examples {
        /// The layer's kind, or the losses.
        place: &'static str,
        /// The examples of the batch.
        expected: usize,
        /// What was found.
        found: usize,
    },
    /// The examples of a batch are not independent.
    #[error(
        "the loss of example {example} depends on what else is in its batch: every operation must work on each example by itself, \
         and draw no random numbers (no dropout)"
    )]
    Dependent {
        /// Which of the two that were tried.
        example: usize,
    },
    /// The two ways to clip do not agree on the module.
    #[error(
        "clipping all examples at once gives other gradients than clipping them one by one (they differ by {difference:e} of their \
         length): some layer is used both through the tape and without it; use `GradientMethod::Exact`, or the tape alone"
    )]
    Disagreement {
        /// The length of the difference, relative.
        difference: f64,
    },
    /// A gradient has no length.
    #[error(
        "the gradient of an example is not finite, or too large for its square: the training diverged, or an example has extreme values"
    )]
    NotFinite,
    /// The device could not hand over a tensor.
    #[error("gradients cannot be read from the device")]
    Unreadable {
        /// What the device says.
        source: ExecutionError,
    },
    /// The elements are not 32-bit floats.
    #[error("expected gradients of 32-bit floats, found {found}")]
    Elements {
        /// Their type.
        found: String,
    },
    /// Examples could not be read.
    #[error("local examples could not be read")]
    Dataset {
        /// What the data set says.
        source: BoxError,
    },
    /// Noise could not be added.
    #[error("noise could not be added")]
    Noise {
        /// What the source of noise says.
        source: BoxError,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Randomness,
}

impl PrivateError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unreadable { .. } | Self::Dataset { .. } | Self::Randomness => Fault::Environment,
            _ => Fault::Caller,
        }
    }
}

impl From<PrivateError> for TrainerError {
    /// The coordinator is told that training failed, and nothing of why: it may depend on an example.
    fn from(error: PrivateError) -> Self {
        Self::failed(error)
    }
}
