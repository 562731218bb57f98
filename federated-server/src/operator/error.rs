use federated_core::{config::ConfigError, fault::Fault, model::ModelError};
use federated_proto::{WireError, refusal::Refusal};

use crate::identity::IdentityError;

/// Why an operator's call did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The coordinator cannot be reached.
    #[error("cannot reach the coordinator at {address}: {detail}; is `serve` running?")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What the network says.
        detail: String,
    },
    /// The coordinator refused the call.
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// The connection failed during the call.
    #[error("the call failed: {detail}")]
    Call {
        /// What the network says.
        detail: String,
    },
    /// The certificate files cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The job file cannot be used.
    #[error(transparent)]
    Job(#[from] ConfigError),
    /// A model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The coordinator's answer breaks the protocol.
    #[error("the coordinator's answer cannot be used: {0}")]
    Wire(#[from] WireError),
}

impl OperatorError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } | Self::Call { .. } => Fault::Environment,
            Self::Refused { .. } | Self::Job(_) | Self::Model(_) => Fault::Caller,
            Self::Identity(error) => error.fault(),
            Self::Wire(error) => error.fault(),
        }
    }
}

impl From<tonic::Status> for OperatorError {
    fn from(status: tonic::Status) -> Self {
        match Refusal::from_status(&status) {
            Some(refusal) => Self::Refused { refusal },
            None => Self::Call { detail: federated_proto::refusal::cut(status.message()) },
        }
    }
}
