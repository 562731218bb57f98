//! Job files: TOML in, checked types out.
//!
//! Read in this order: `raw` mirrors the file, [`JobConfig`] is what comes out, [`ConfigError`] says what is wrong. The
//! parsers of durations and sizes serve every configuration file of the project.

mod error;
mod job;
mod raw;
mod value;

pub use error::ConfigError;
pub use job::{JobConfig, StrategyConfig};
pub use value::{parse_duration, parse_size, parse_toml};
