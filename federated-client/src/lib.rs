//! The participant of Federated: trains locally with burn and takes part in rounds.
//!
//! An application brings a [`LocalTrainer`](trainer::LocalTrainer) and puts a [`FederatedClient`] together; the binary
//! does the same with a trainer for tables.
//!
//! Map:
//! - [`FederatedClient`]: a participant, put together and run; [`event`] is what it tells;
//! - [`config`]: `participant.toml`; [`policy`]: what the site agrees to; [`check`]: whether all of it will work;
//! - `session`: connect, negotiate, attend, train, deliver; [`transport`]: the connection under it; [`state`]: what
//!   survives a restart;
//! - [`privacy`]: what was ever released from this site's records, against a limit of its own;
//! - [`signing`]: who the participant is to the others in secure aggregation;
//! - [`telemetry`]: the binary's log;
//! - [`dataset`]: local examples, from memory or a CSV file;
//! - [`device`]: where training runs, chosen at run time;
//! - [`parameters`]: a burn module as [`ModelParameters`](federated_core::model::ModelParameters) and back;
//! - [`trainer`]: one task's local work, which never sees the network;
//! - [`statistics`]: local work that counts records instead, and hides each in noise.

#![forbid(unsafe_code)]

mod builder;
pub mod check;
pub mod config;
pub mod dataset;
pub mod device;
pub mod event;
pub mod parameters;
pub mod policy;
pub mod privacy;
mod session;
pub mod signing;
pub mod state;
pub mod statistics;
pub mod telemetry;
pub mod trainer;
pub mod transport;

/// The machine that decides what a participant does, for tests that simulate a federation.
#[cfg(feature = "test-util")]
pub mod simulation {
    pub use crate::session::{Action, EndedJob, Input, Machine, Rules};
}

pub use builder::{FederatedClient, FederatedClientBuilder};
pub use session::{Backoff, ClientError};
