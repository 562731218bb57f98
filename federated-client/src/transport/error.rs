use std::{fmt, time::Duration};

use federated_core::{fault::Fault, ids::ParticipantName};

/// How far a connection got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Finding the address of the host.
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// The TLS handshake, in which both sides check the other's certificate.
    Secure,
    /// Calls on the open connection.
    Call,
}

/// Why the coordinator does not accept a participant's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedCertificate {
    /// It has expired, or is not valid yet.
    Expired,
    /// It was revoked.
    Revoked,
    /// It comes from an authority that the coordinator does not know.
    UnknownAuthority,
    /// It is malformed, has another purpose, or its signature is wrong.
    Unusable,
    /// None was sent.
    Missing,
}

impl fmt::Display for RefusedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "it has expired or is not valid yet",
            Self::Revoked => "it was revoked",
            Self::UnknownAuthority => "it comes from an authority that the coordinator does not know",
            Self::Unusable => "it is not a valid participant's certificate",
            Self::Missing => "none arrived",
        })
    }
}

/// Why there is no connection to the coordinator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The host's name is not known.
    #[error(
        "cannot find the address of `{host}`: {detail}; check `coordinator` in participant.toml and this site's DNS"
    )]
    Resolve {
        /// The host.
        host: String,
        /// What the system says.
        detail: String,
    },
    /// No TCP connection.
    #[error(
        "cannot reach {address}: {detail}; check that the coordinator runs and that a firewall lets this site out"
    )]
    Connect {
        /// `HOST:PORT`.
        address: String,
        /// What the system says.
        detail: String,
    },
    /// A step took too long.
    #[error("{address} did not answer within {}; check that the coordinator runs and that a firewall lets this site out",
        humantime::format_duration(*.after))]
    TimedOut {
        /// `HOST:PORT`.
        address: String,
        /// The step.
        stage: Stage,
        /// How long was waited.
        after: Duration,
    },
    /// What answers is not a coordinator with TLS 1.3.
    #[error(
        "{address} answers, but not as a coordinator with TLS 1.3: {detail}; check `coordinator` in participant.toml"
    )]
    NotACoordinator {
        /// `HOST:PORT`.
        address: String,
        /// What TLS says.
        detail: String,
    },
    /// The coordinator's certificate comes from another authority.
    #[error(
        "the certificate of {address} does not come from this site's authority: {detail}; check that `tls.ca` is the \
         file of this coordinator's bundle. If it is, someone else answers at that address"
    )]
    UntrustedCoordinator {
        /// `HOST:PORT`.
        address: String,
        /// What TLS says.
        detail: String,
    },
    /// The coordinator's certificate is for other hosts.
    #[error(
        "the coordinator's certificate is not for the host `{host}`: {detail}; use the address that the operator gave \
         with the bundle"
    )]
    WrongHost {
        /// The host in the configured address.
        host: String,
        /// What TLS says.
        detail: String,
    },
    /// The coordinator's certificate comes from the right authority but cannot be used now.
    #[error(
        "the certificate of {address} cannot be used: {detail}; check this site's clock, then ask the operator to renew \
         the coordinator's certificate"
    )]
    CoordinatorCertificate {
        /// `HOST:PORT`.
        address: String,
        /// What TLS says.
        detail: String,
    },
    /// The coordinator does not accept this participant's certificate.
    #[error(
        "the coordinator refused this participant's certificate: {because}; ask the operator to run \
         `federated-coordinator enroll {name}` and use the new bundle"
    )]
    CertificateRefused {
        /// The participant's name.
        name: ParticipantName,
        /// Why.
        because: RefusedCertificate,
    },
    /// The connection broke.
    #[error("the connection to the coordinator broke: {detail}")]
    Broken {
        /// What the system, TLS or HTTP/2 says.
        detail: String,
    },
}

impl TransportError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::TimedOut { .. } | Self::Broken { .. } => {
                Fault::Environment
            }
            Self::CertificateRefused { .. } | Self::WrongHost { .. } => Fault::Caller,
            Self::NotACoordinator { .. }
            | Self::UntrustedCoordinator { .. }
            | Self::CoordinatorCertificate { .. } => Fault::Peer,
        }
    }

    /// Whether trying again cannot help until a person changes something.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::CertificateRefused { .. } | Self::UntrustedCoordinator { .. } | Self::WrongHost { .. }
        )
    }

    /// How far the connection got.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Resolve { .. } => Stage::Resolve,
            Self::Connect { .. } => Stage::Connect,
            Self::TimedOut { stage, .. } => *stage,
            Self::NotACoordinator { .. }
            | Self::UntrustedCoordinator { .. }
            | Self::WrongHost { .. }
            | Self::CoordinatorCertificate { .. }
            | Self::CertificateRefused { .. } => Stage::Secure,
            Self::Broken { .. } => Stage::Call,
        }
    }
}
