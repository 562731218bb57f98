//! The operator's side: starts, watches and stops jobs, over the same mutual TLS as everyone.

mod client;
mod error;

pub use client::OperatorClient;
pub use error::OperatorError;
