//! Models as named tensors.
//!
//! Read in this order: [`layout`](self) says which tensors a model has ([`ModelLayout`]), [`ModelParameters`] holds
//! their values as one contiguous vector, [`bytes_of`] is their wire form, and [`to_safetensors`]/[`from_safetensors`] exchange models with other tools.

mod bytes;
mod error;
mod layout;
mod parameters;
mod safetensors;

pub use bytes::{bytes_of, bytes_of_mut, values_from_le_bytes, values_to_le_bytes};
pub use error::ModelError;
pub use layout::{MAX_RANK, MAX_TENSOR_NAME_BYTES, MAX_TENSORS, ModelLayout, TensorSpec};
pub use parameters::{MAX_MAGNITUDE, ModelParameters, check_values};
pub use safetensors::{from_safetensors, to_safetensors};
