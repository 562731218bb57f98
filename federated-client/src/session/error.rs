use federated_core::{fault::Fault, ids::ParticipantName};
use federated_proto::{WireError, refusal::Refusal};

use crate::{
    config::ConfigError,
    privacy::SiteLedgerError,
    signing::SigningError,
    state::StateError,
    transport::{IdentityError, TransportError},
};

/// Why a participant cannot start, or has stopped for good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The builder lacks something.
    #[error("expected FederatedClient::builder() to get {missing}, found none; call `{call}`")]
    Incomplete {
        /// What is missing.
        missing: &'static str,
        /// The builder's method that sets it.
        call: &'static str,
    },
    /// The configuration file cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The files of the `[tls]` table do not make an identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The files of the `[secure_aggregation]` table cannot be used.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The ledger of the `[privacy]` table cannot be used.
    #[error(transparent)]
    Privacy(#[from] SiteLedgerError),
    /// The coordinator cannot be reached, and trying again cannot help.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The coordinator knows this participant by another name.
    #[error(
        "expected the coordinator to know this participant as `{configured}`, found `{answered}`; use the bundle that \
         was made for `{configured}`"
    )]
    WrongName {
        /// The configured name.
        configured: ParticipantName,
        /// The name in the coordinator's answer, cut to 80 characters.
        answered: String,
    },
    /// The coordinator does not take this participant.
    #[error("the coordinator refused this participant: {reason}: {message}")]
    Refused {
        /// The stable code, for instance `PARTICIPANT_NOT_ENROLLED`.
        reason: String,
        /// The coordinator's words.
        message: String,
    },
    /// The coordinator speaks another version, or its answer cannot be used.
    #[error("the coordinator's answer cannot be used: {source}")]
    Answer {
        /// What is wrong with it.
        source: WireError,
    },
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The training thread could not be started, or is gone.
    #[error("the training thread does not run: {detail}")]
    Worker {
        /// What the system says.
        detail: String,
    },
}

impl ClientError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Incomplete { .. } | Self::WrongName { .. } | Self::Refused { .. } => Fault::Caller,
            Self::Config(error) => error.fault(),
            Self::Identity(error) => error.fault(),
            Self::Signing(error) => error.fault(),
            Self::Privacy(error) => error.fault(),
            Self::Transport(error) => error.fault(),
            Self::State(error) => error.fault(),
            Self::Answer { source } => source.fault(),
            Self::Worker { .. } => Fault::Environment,
        }
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { reason, message, .. } = refusal;
        Self::Refused { reason, message }
    }
}
