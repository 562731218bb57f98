//! `coordinator.toml`: from text to checked values.
//!
//! Read in this order: [`CoordinatorConfig`] is what the coordinator runs with; [`JournalConfig`], [`SpoolConfig`],
//! [`JobsConfig`], [`Limits`], [`TlsFiles`], [`LogConfig`] and [`OperatorConfig`] are its parts; `raw` is the file as written; `check` turns one into the other.
//! [`ConfigError`] names file, path, what was expected and what was found.

mod check;
mod coordinator;
mod error;
mod jobs;
mod journal;
mod limits;
mod raw;
mod spool;

pub use coordinator::{CoordinatorConfig, OperatorConfig, TlsFiles};
pub use error::ConfigError;
pub use federated_core::config::{CoordinatorAddress, LogConfig, LogFilter, LogFormat};
pub use jobs::JobsConfig;
pub use journal::{JournalConfig, PostgresUrl};
pub use limits::{ChunkSize, Limits, UploadWindow};
#[cfg(feature = "object-store")]
pub(crate) use spool::ObjectStoreKind;
pub use spool::{ObjectStoreUrl, SpoolConfig};
