use crate::fault::{Fault, ReasonCode};

/// Why a model, or a part of one, cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The layout has no tensor, too many tensors, or too many elements.
    #[error("a model has {limit}, found {found}")]
    LayoutSize {
        /// What is allowed.
        limit: &'static str,
        /// What was found.
        found: u64,
    },
    /// A tensor has no usable name.
    #[error(
        "tensor number {index} has an unusable name: expected 1 to 256 printable ASCII characters without spaces"
    )]
    TensorName {
        /// The tensor's position in the layout, from 0.
        index: usize,
    },
    /// Two tensors have the same name.
    #[error("two tensors are named `{name}`: names must differ")]
    DuplicateTensor {
        /// The name.
        name: String,
    },
    /// A tensor has too many dimensions, or one that is zero.
    #[error("tensor `{name}` has shape {shape:?}: expected at most 8 dimensions, each at least 1")]
    TensorShape {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<u64>,
    },
    /// The number of tensors differs from what was expected.
    #[error("expected {expected} tensors, found {found}")]
    TensorCount {
        /// Tensors expected.
        expected: usize,
        /// Tensors found.
        found: usize,
    },
    /// A tensor stands where another was expected.
    #[error("tensor number {index}: expected `{expected}`, found `{found}`")]
    WrongTensor {
        /// Position in the layout, from 0.
        index: usize,
        /// The name expected.
        expected: String,
        /// The name found.
        found: String,
    },
    /// A tensor has another shape than expected.
    #[error("tensor `{name}`: expected shape {expected:?}, found {found:?}")]
    WrongShape {
        /// The tensor.
        name: String,
        /// The shape expected.
        expected: Vec<u64>,
        /// The shape found.
        found: Vec<u64>,
    },
    /// A tensor's elements are not 32-bit floats.
    #[error("tensor `{name}`: expected elements of type f32, found {found}")]
    WrongDtype {
        /// The tensor.
        name: String,
        /// The element type found.
        found: String,
    },
    /// The number of values does not fit the layout.
    #[error("expected {expected} values, found {found}")]
    ValueCount {
        /// Values expected.
        expected: u64,
        /// Values found.
        found: u64,
    },
    /// A value is NaN or infinite.
    #[error("tensor `{name}`, element {element}: expected a finite number, found {found}")]
    NotFinite {
        /// The tensor.
        name: String,
        /// The element within the tensor, from 0, row-major.
        element: u64,
        /// `NaN`, `inf` or `-inf`.
        found: f32,
    },
    /// A value is too large to be summed exactly.
    #[error("tensor `{name}`, element {element}: expected a magnitude below 2^31, found {found}")]
    TooLarge {
        /// The tensor.
        name: String,
        /// The element within the tensor, from 0, row-major.
        element: u64,
        /// The value found.
        found: f32,
    },
    /// The bytes are not a safetensors file.
    #[error("not a safetensors file: {detail}")]
    Safetensors {
        /// What the parser says.
        detail: String,
    },
}

impl ModelError {
    /// Whose fault it is. Models reach the core from a peer or from the caller; the edges, which know, override this
    /// for a caller's own file.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }

    /// What a peer that sent such a model is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::LayoutSize { .. }
            | Self::TensorName { .. }
            | Self::DuplicateTensor { .. }
            | Self::TensorShape { .. } => ReasonCode::new("LAYOUT_INVALID"),
            Self::TensorCount { .. } | Self::WrongTensor { .. } | Self::WrongShape { .. } => {
                ReasonCode::new("UPDATE_WRONG_SHAPE")
            }
            Self::WrongDtype { .. } => ReasonCode::new("UPDATE_WRONG_DTYPE"),
            Self::ValueCount { .. } => ReasonCode::new("UPDATE_WRONG_SIZE"),
            Self::NotFinite { .. } => ReasonCode::new("UPDATE_NOT_FINITE"),
            Self::TooLarge { .. } => ReasonCode::new("UPDATE_TOO_LARGE"),
            Self::Safetensors { .. } => ReasonCode::new("FILE_INVALID"),
        }
    }
}
