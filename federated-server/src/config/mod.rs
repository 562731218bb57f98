//! `coordinator.toml`: from text to checked values.
//!
//! Read in this order: [`CoordinatorConfig`] is what the coordinator runs with; [`Limits`], [`TlsFiles`],
//! [`LogConfig`] and [`OperatorConfig`] are its parts; `raw` is the file as written; `check` turns one into the other.
//! [`ConfigError`] names file, path, what was expected and what was found.

mod address;
mod check;
mod coordinator;
mod error;
mod limits;
mod log;
mod raw;

pub use address::CoordinatorAddress;
pub use coordinator::{CoordinatorConfig, OperatorConfig, TlsFiles};
pub use error::ConfigError;
pub use limits::{ChunkSize, Limits};
pub use log::{LogConfig, LogFilter, LogFormat};
