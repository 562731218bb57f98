use std::path::PathBuf;

use federated_core::{config::ConfigError as Mistake, fault::Fault};

use crate::{config::ConfigError, identity::IdentityError};

/// Why a coordinator's folder or a participant's bundle cannot be made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The folder holds a coordinator already.
    #[error("{path} exists: a coordinator was set up here before. Choose another folder", path = .path.display())]
    AlreadyInitialised {
        /// The configuration file found.
        path: PathBuf,
    },
    /// The bundle's folder exists.
    #[error("{path} exists: remove it if nobody needs it, or choose another folder with --out", path = .path.display())]
    BundleExists {
        /// The folder found.
        path: PathBuf,
    },
    /// The coordinator's certificate does not name the host that a participant shall connect to.
    #[error(
        "the coordinator's certificate does not name `{host}`, so participants would refuse it: it names {named}. \
         Use one of these, or run `federated-coordinator renew --host {host}` first"
    )]
    HostNotNamed {
        /// The host asked for.
        host: String,
        /// The hosts of the certificate, separated by commas.
        named: String,
    },
    /// The host of the certificate and the port of the configuration make no address that a participant could use.
    #[error(
        "participants cannot connect to the coordinator's own {0}. Say with --address where they reach it"
    )]
    Address(#[source] Mistake),
    /// The coordinator's configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A certificate, a key or the roster.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl SetupError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::AlreadyInitialised { .. }
            | Self::BundleExists { .. }
            | Self::HostNotNamed { .. }
            | Self::Address(_) => Fault::Caller,
            Self::Config(error) => error.fault(),
            Self::Identity(error) => error.fault(),
        }
    }
}
