//! One task's local work.
//!
//! A [`LocalTrainer`] gets a task and a model and gives back an update. It is synchronous and never sees the network;
//! [`run_guarded`] calls it so that its panic becomes an error, and a [`StopSignal`] tells it that the coordinator no
//! longer wants the result.
//!
//! [`BurnTrainer`] is the local work of federated averaging for any [`TrainableModule`], data set and burn optimiser.
//! [`DenseNetwork`] is such a module, and [`TabularTrainer`] puts it together with a table and a device chosen at run
//! time. `order` draws the batches, `loss_meter` averages the loss. [`private`] is local work with differential privacy.

mod burn_trainer;
mod dense;
mod error;
mod guard;
mod local;
mod loss_meter;
mod order;
pub mod private;
mod stop;
mod tabular;
#[cfg(test)]
mod tests;
mod trainable;

pub use burn_trainer::BurnTrainer;
pub use dense::{DenseNetwork, DenseNetworkRecord};
pub use error::TrainerError;
pub use guard::run_guarded;
pub use local::LocalTrainer;
pub use stop::StopSignal;
pub use tabular::TabularTrainer;
pub use trainable::TrainableModule;
