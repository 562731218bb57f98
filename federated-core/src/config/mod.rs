//! Configuration files: TOML in, checked types out.
//!
//! Read in this order: `raw` mirrors a job file, [`JobConfig`] is what comes out, `aggregation`,
//! `compression`, `secure` and `private` are a table of it each, [`ConfigError`] says what is wrong. [`CoordinatorAddress`], [`LogConfig`] and the parsers of TOML, durations and sizes
//! serve every configuration file of the project; the coordinator's and the participant's own files are with those
//! programs.

mod address;
mod aggregation;
mod compression;
mod error;
mod job;
mod log;
mod private;
mod raw;
mod secure;
mod value;

pub use address::CoordinatorAddress;
pub use error::ConfigError;
pub use job::{JobConfig, StrategyConfig, StrategyKind};
pub use log::{LogConfig, LogFilter, LogFormat};
pub use secure::SecureConfig;
pub use value::{parse_duration, parse_size, parse_toml};
