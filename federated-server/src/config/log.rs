use std::{fmt, str::FromStr};

use tracing_subscriber::EnvFilter;

use super::{ConfigError, error::cut};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// One line of text an event, for people.
    #[default]
    Text,
    /// One JSON object an event, for machines.
    Json,
}

/// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`), with exceptions such as `info,rustls=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl FromStr for LogFilter {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let invalid = |detail: String| ConfigError::Filter { found: cut(text), detail };
        EnvFilter::try_new(text).map_err(|error| invalid(error.to_string()))?;
        // A lone word that is no level would be taken for a module's name and switch everything else off.
        let names_a_level = |part: &str| {
            let level = part.trim().rsplit('=').next().unwrap_or_default().to_ascii_lowercase();
            ["off", "error", "warn", "info", "debug", "trace"].contains(&level.as_str())
        };
        if text.split(',').all(names_a_level) {
            Ok(Self(text.to_owned()))
        } else {
            Err(invalid("no level".to_owned()))
        }
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is logged, and how. The log goes to standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// How lines look. Text by default.
    pub format: LogFormat,
    /// What is logged unless the environment variable `RUST_LOG` says otherwise. `info` by default.
    pub level: LogFilter,
}
