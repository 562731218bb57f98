//! The coordinator: one task that owns every run.
//!
//! Calls from the network become messages, messages become events of pure jobs ([`federated_core::job`]), and the commands
//! of these are carried out after the events are in the journal. Read in this order: [`Coordinator`] is the handle that
//! everyone holds, `message` what it sends, `actor` the task at the other end, `clock` its time, `sessions` who is
//! connected, `status` what an operator sees.

mod actor;
mod clock;
mod error;
mod handle;
mod message;
mod sessions;
mod status;

pub(crate) use actor::Actor;
pub use error::CoordinatorError;
pub use handle::Coordinator;
pub(crate) use message::Admitted;
pub use message::Order;
#[cfg(feature = "test-util")]
pub use sessions::Lie;
