//! A burn module as [`ModelParameters`](federated_core::model::ModelParameters) and back.
//!
//! [`layout_of`] names the tensors, [`extract`] reads them, [`load`] writes them; [`ParametersError`] says what does
//! not fit.
//!
//! What travels is every float parameter of the module, in the order in which burn visits them, named by the path of
//! field names and indices, for instance `layers.0.weight`. That includes parameters that do not train
//! (`require_grad` is false) and running statistics such as those of batch normalisation: averaging them is what
//! federated averaging does. Integer and boolean parameters (index tables, masks) stay as they are in the local
//! module: a mean of them has no meaning.
//!
//! Values travel as the module holds them: a parameter's save and load mappers are not applied.

mod error;
mod extract;
mod layout;
mod load;
mod path;
#[cfg(test)]
mod tests;

pub use error::ParametersError;
pub use extract::extract;
pub use layout::layout_of;
pub use load::load;
pub(crate) use path::Path;

use burn::{module::Module, tensor::backend::Backend};

/// Puts pending updates of running statistics into effect.
///
/// burn's `RunningState` shows its visitors a value that may lack the latest update, and keeps that update to
/// overwrite a loaded value with it later. Only making a record settles it.
fn settle_running_statistics<B: Backend, M: Module<B>>(module: &M) {
    drop(module.clone().into_record());
}
