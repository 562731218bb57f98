//! The log: structured events on standard error.

use federated_core::fault::Fault;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogConfig, LogFormat};

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The environment variable `RUST_LOG` does not say what to log.
    #[error("the environment variable RUST_LOG is `{found}`: {detail}; expected such as `info,rustls=debug`")]
    Environment {
        /// What it holds.
        found: String,
        /// What the parser says.
        detail: String,
    },
    /// The process has a log already.
    #[error("this process has set up its log already: set it up once, at the start")]
    AlreadyInstalled,
}

impl TelemetryError {
    /// Whose fault it is: the caller's, who sets up the process.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Sends the process's events to standard error. `RUST_LOG`, where set and not empty, replaces the configured level.
///
/// Only programs call this. Code that embeds a participant sets up `tracing` as it likes.
///
/// # Errors
/// [`TelemetryError`], if `RUST_LOG` is malformed or a log is set up already.
pub fn install(log: &LogConfig) -> Result<(), TelemetryError> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(found) if !found.is_empty() => EnvFilter::try_new(&found)
            .map_err(|error| TelemetryError::Environment { found, detail: error.to_string() })?,
        _ => EnvFilter::new(log.level.as_str()),
    };
    let layer = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let installed = match log.format {
        LogFormat::Text => registry.with(layer.with_ansi(terminal)).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    installed.map_err(|_| TelemetryError::AlreadyInstalled)
}
