use burn::tensor::backend::ExecutionError;
use federated_core::{fault::Fault, model::ModelError};

/// Why a burn module and a model do not go together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// The module's tensors do not make a model: no float parameter, an unusable name, a tensor of rank above 8.
    #[error("this burn module cannot be a model: {source}")]
    Layout {
        /// What is wrong with it.
        source: ModelError,
    },
    /// The model is not one of this module.
    #[error("the model does not fit the module it is loaded into: {source}")]
    Mismatch {
        /// The first difference: expected is the module's, found is the model's.
        source: ModelError,
    },
    /// The module holds a value that no model may hold: NaN, infinite, or not below 2^31 in magnitude.
    #[error("the module's values cannot be sent: {source}")]
    Values {
        /// Which tensor and element.
        source: ModelError,
    },
    /// A parameter is quantised.
    #[error(
        "tensor `{name}`: expected floating-point elements, found {found}; use the module before quantisation"
    )]
    Quantised {
        /// The tensor.
        name: String,
        /// Its element type.
        found: String,
    },
    /// The device could not hand over a tensor.
    #[error("tensor `{name}` cannot be read from its device")]
    Unreadable {
        /// The tensor.
        name: String,
        /// What the device says.
        source: ExecutionError,
    },
}

impl ParametersError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Layout { .. } | Self::Values { .. } | Self::Quantised { .. } => Fault::Caller,
            Self::Mismatch { .. } => Fault::Peer,
            Self::Unreadable { .. } => Fault::Environment,
        }
    }
}
