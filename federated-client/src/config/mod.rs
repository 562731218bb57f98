//! `participant.toml`: from text to checked values.
//!
//! [`ParticipantConfig`] is what a participant runs with; [`CoordinatorAddress`], [`TlsFiles`], [`TableFile`], [`SecureFiles`],
//! [`SiteBudget`] and [`LogConfig`] are its parts; `raw` is the file as written. [`ConfigError`] names the file, the key, what was
//! expected and what was found. The site's policy is in [`policy`](crate::policy).

mod error;
mod participant;
mod privacy;
mod raw;

pub use error::ConfigError;
pub use federated_core::config::{CoordinatorAddress, LogConfig, LogFilter, LogFormat};
pub use participant::{ParticipantConfig, SecureFiles, TableFile, TlsFiles};
pub use privacy::SiteBudget;
