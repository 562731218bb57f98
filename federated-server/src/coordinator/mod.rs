//! The coordinator: one task that owns every run.
//!
//! Calls from the network become messages, messages become events of the pure round machine, and the machine's commands
//! are carried out after its new state is on disk. Read in this order: [`Coordinator`] is the handle that everyone
//! holds, `message` what it sends, `actor` the task at the other end, `job` one job with its run, `sessions` who is
//! connected, `status` what an operator sees.

mod actor;
mod error;
mod handle;
mod job;
mod message;
mod sessions;
mod status;

pub(crate) use actor::Actor;
pub use error::CoordinatorError;
pub use handle::Coordinator;
pub(crate) use message::Admitted;
