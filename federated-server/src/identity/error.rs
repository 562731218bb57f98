use std::{io, path::PathBuf, time::SystemTime};

use federated_core::{
    fault::{Fault, ReasonCode},
    ids::ParticipantName,
};
use humantime::format_rfc3339_seconds as date;

/// Why a certificate cannot be made or used, or a peer is not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A certificate or key could not be generated.
    #[error("cannot generate {what}: {source}")]
    Generate {
        /// What was being generated.
        what: &'static str,
        /// Why.
        source: rcgen::Error,
    },
    /// A validity is empty or reaches beyond what a certificate can say.
    #[error("a certificate is valid for at least one second between the years 1970 and 9999")]
    Validity,
    /// A certificate would outlive the authority that signs it.
    #[error(
        "the certificate would be valid until {}, the authority that signs it only until {}: ask for fewer days",
        date(*.requested), date(*.authority)
    )]
    OutlivesAuthority {
        /// The end asked for.
        requested: SystemTime,
        /// The end of the authority's own certificate.
        authority: SystemTime,
    },
    /// A server's name is neither a DNS name nor an IP address.
    #[error("`{found}` is not a host: expected a DNS name or an IP address, without scheme and port")]
    Host {
        /// The text found.
        found: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}: {source}", path = .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no PEM of the kind expected.
    #[error(
        "{path}: expected {expected} in PEM form, found {found}: was another file put in its place?",
        path = .path.display()
    )]
    Pem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What the parser met.
        found: String,
    },
    /// The authority's certificate is not one of an authority, or its key belongs to another certificate.
    #[error("{found}: expected the certificate of a certificate authority and its own private key")]
    NotAnAuthority {
        /// What is wrong.
        found: &'static str,
    },
    /// A certificate and a private key do not belong together, or have a form that TLS cannot use.
    #[error(
        "{certificate} and {key} cannot be used together: {source}. Expected a certificate and its own private key",
        certificate = .certificate.display(), key = .key.display()
    )]
    KeyPair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authority's certificate cannot be used to check others.
    #[error("{path} cannot be used to check certificates: {detail}", path = .path.display())]
    Authority {
        /// The authority's file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// One of the coordinator's own certificates is not valid now.
    #[error(
        "{path} is valid from {} to {}, now it is {}: check the clock; `federated-coordinator renew` replaces the \
         certificates of the server and the operator",
        date(*.not_before), date(*.not_after), date(*.now), path = .path.display()
    )]
    OutOfDate {
        /// The certificate's file.
        path: PathBuf,
        /// Start of its validity.
        not_before: SystemTime,
        /// End of its validity.
        not_after: SystemTime,
        /// The moment it was looked at.
        now: SystemTime,
    },
    /// A file holds no signing key.
    #[error(
        "{path}: expected 64 hexadecimal characters of a signing key, found something else; \
         `federated-coordinator signing-key` makes one where there is none",
        path = .path.display()
    )]
    SigningKey {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness for a key")]
    Randomness,
    /// TLS refuses the settings.
    #[error("TLS cannot be set up: {source}")]
    Tls {
        /// Why.
        source: rustls::Error,
    },
    /// A peer's certificate cannot be read.
    #[error("the certificate is not X.509: {detail}")]
    Certificate {
        /// What the parser says.
        detail: String,
    },
    /// A peer's certificate does not say exactly once who the peer is.
    #[error(
        "expected a certificate with one name `urn:federated:participant:NAME` or `urn:federated:operator:NAME`, found {found}"
    )]
    Names {
        /// How many such names were found.
        found: usize,
    },
    /// A peer's certificate names something that is neither a participant nor an operator.
    #[error(
        "`{found}` names no peer: expected `urn:federated:participant:NAME` or `urn:federated:operator:NAME`"
    )]
    Urn {
        /// The name found, cut to 120 characters.
        found: String,
    },
    /// The participant is not enrolled here, or was withdrawn.
    #[error("participant `{name}` is not enrolled: the operator runs `federated-coordinator enroll {name}`")]
    NotEnrolled {
        /// Who the certificate says.
        name: ParticipantName,
    },
    /// The participant was enrolled again since: only the newest certificate counts.
    #[error("this certificate of `{name}` was replaced by a newer one: use the bundle of the last enrolment")]
    Superseded {
        /// Who the certificate says.
        name: ParticipantName,
    },
    /// An entry of the roster is damaged.
    #[error("{path} is not an entry of the roster: {detail}. Enroll the participant again", path = .path.display())]
    RosterEntry {
        /// The entry's file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
}

impl IdentityError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Certificate { .. }
            | Self::Names { .. }
            | Self::Urn { .. }
            | Self::NotEnrolled { .. }
            | Self::Superseded { .. } => Fault::Peer,
            Self::Validity
            | Self::OutlivesAuthority { .. }
            | Self::Host { .. }
            | Self::Pem { .. }
            | Self::SigningKey { .. }
            | Self::NotAnAuthority { .. }
            | Self::KeyPair { .. }
            | Self::Authority { .. }
            | Self::OutOfDate { .. } => Fault::Caller,
            Self::Generate { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::RosterEntry { .. }
            | Self::Randomness => Fault::Environment,
            Self::Tls { .. } => Fault::Bug,
        }
    }

    /// What the peer is told; `None` where the peer is not at fault.
    #[must_use]
    pub const fn reason(&self) -> Option<ReasonCode> {
        match self {
            Self::Certificate { .. } | Self::Names { .. } | Self::Urn { .. } => {
                Some(ReasonCode::new("CERTIFICATE_INVALID"))
            }
            Self::NotEnrolled { .. } => Some(ReasonCode::new("PARTICIPANT_NOT_ENROLLED")),
            Self::Superseded { .. } => Some(ReasonCode::new("CERTIFICATE_SUPERSEDED")),
            _ => None,
        }
    }
}
