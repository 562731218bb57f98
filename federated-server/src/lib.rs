//! The coordinator of Federated: runs rounds over mutual-TLS gRPC, as a library and as `federated-coordinator`.
//!
//! To embed a coordinator, build a [`FederatedServer`]. What is here, in reading order: [`config`] parses
//! `coordinator.toml`; [`identity`] is the certificate authority, the roster of enrolled participants and the TLS
//! set-up; [`coordinator`] owns the runs; [`store`] keeps them on disk; `grpc` is the network; [`operator`] is the
//! client that starts, watches and stops jobs; [`telemetry`] sets up the log.

#![forbid(unsafe_code)]

pub mod backup;
pub mod config;
pub mod coordinator;
mod grpc;
pub mod identity;
pub mod operator;
mod server;
pub mod store;
pub mod telemetry;

pub use server::{FederatedServer, FederatedServerBuilder, ServerError};
