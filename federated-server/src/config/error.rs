use std::{io, path::PathBuf};

use federated_core::{config::ConfigError as Mistake, fault::Fault};

/// Why a coordinator's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error(
        "cannot read {file}: {source}; expected the coordinator.toml that `federated-coordinator init` makes",
        file = .file.display()
    )]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in the file is wrong.
    #[error("{file}: {mistake}", file = .file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Where in the file, what was expected, what was found and what to do.
        mistake: Mistake,
    },
}

impl ConfigError {
    /// Whose fault it is: the machine keeps the file, the caller wrote it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Read { .. } => Fault::Environment,
            Self::Invalid { .. } => Fault::Caller,
        }
    }
}
