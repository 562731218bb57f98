use std::{io, path::PathBuf};

use federated_core::fault::Fault;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {file}: {source}. `federated-coordinator init` makes one", file = .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{file}, line {line}: not TOML: {detail}", file = .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        detail: String,
    },
    /// A setting is unknown or has another type than expected.
    #[error("{file}, line {line}: `{path}`: {detail}", file = .file.display())]
    Shape {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Where in the file, such as `limits.chunk`.
        path: String,
        /// What was expected and what was found.
        detail: String,
    },
    /// A setting has a value that cannot be used.
    #[error("{file}: `{path}`: expected {expected}, found `{found}`. {hint}", file = .file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// Where in the file, such as `limits.chunk`.
        path: &'static str,
        /// What would be right.
        expected: String,
        /// What stands there, cut to 120 characters.
        found: String,
        /// What to do.
        hint: &'static str,
    },
    /// A text is not the address of a coordinator.
    #[error("`{found}` is not the address of a coordinator: expected `https://HOST:PORT`")]
    Address {
        /// The text found, cut to 120 characters.
        found: String,
    },
    /// A text does not say what to log.
    #[error(
        "`{found}` does not say what to log: {detail}. Expected a level such as `info` or `info,rustls=debug`"
    )]
    Filter {
        /// The text found, cut to 120 characters.
        found: String,
        /// What the parser says.
        detail: String,
    },
}

impl ConfigError {
    /// Whose fault it is: the caller wrote the configuration; the machine keeps the file.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Read { .. } => Fault::Environment,
            _ => Fault::Caller,
        }
    }
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}
