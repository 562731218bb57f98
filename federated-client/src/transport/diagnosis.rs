//! From what rustls says to the reason and its remedy.

use std::io;

use federated_core::ids::ParticipantName;
use rustls::{AlertDescription, CertificateError, Error};

use super::{RefusedCertificate, TransportError};
use crate::config::CoordinatorAddress;

/// Whom a connection is between: what the messages name.
#[derive(Clone, Debug)]
pub(super) struct Parties {
    pub(super) participant: ParticipantName,
    pub(super) coordinator: CoordinatorAddress,
}

impl Parties {
    /// The reason for a failure to read from or write to a TLS stream.
    pub(super) fn explain(&self, error: &io::Error) -> TransportError {
        match rustls_error(error) {
            Some(tls) => self.explain_tls(tls),
            None => TransportError::Broken { detail: error.to_string() },
        }
    }

    fn explain_tls(&self, error: &Error) -> TransportError {
        let (address, detail) = (self.coordinator.authority(), error.to_string());
        match error {
            Error::InvalidCertificate(problem) => self.explain_certificate(problem),
            Error::AlertReceived(alert) => match refused(*alert) {
                Some(because) => {
                    TransportError::CertificateRefused { name: self.participant.clone(), because }
                }
                None if is_about_versions(*alert) => TransportError::NotACoordinator { address, detail },
                None => TransportError::Broken { detail },
            },
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::PeerIncompatible(_)
            | Error::PeerMisbehaved(_)
            | Error::NoApplicationProtocol => TransportError::NotACoordinator { address, detail },
            _ => TransportError::Broken { detail },
        }
    }

    /// What is wrong with the coordinator's certificate.
    fn explain_certificate(&self, problem: &CertificateError) -> TransportError {
        let (host, address) = (self.coordinator.host().to_owned(), self.coordinator.authority());
        let detail = problem.to_string();
        match problem {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TransportError::WrongHost { host, detail }
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                TransportError::CoordinatorCertificate { address, detail }
            }
            _ => TransportError::UntrustedCoordinator { address, detail },
        }
    }
}

/// The error of rustls inside an I/O error, or inside what that one was caused by.
fn rustls_error(error: &io::Error) -> Option<&Error> {
    let mut source: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(error) = source {
        if let Some(tls) = error.downcast_ref::<Error>() {
            return Some(tls);
        }
        source = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// What an alert says about our certificate (RFC 8446, section 6.2); `None` when it is about something else.
fn refused(alert: AlertDescription) -> Option<RefusedCertificate> {
    Some(match alert {
        AlertDescription::CertificateExpired => RefusedCertificate::Expired,
        AlertDescription::CertificateRevoked => RefusedCertificate::Revoked,
        AlertDescription::UnknownCA => RefusedCertificate::UnknownAuthority,
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            RefusedCertificate::Missing
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::AccessDenied => RefusedCertificate::Unusable,
        _ => return None,
    })
}

fn is_about_versions(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::NoApplicationProtocol
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(error: Error) -> TransportError {
        let parties = Parties {
            participant: "cleveland".parse().unwrap(),
            coordinator: "https://coordinator.example:8443".parse().unwrap(),
        };
        // HTTP/2 and tokio-rustls each may wrap an I/O error once more.
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, error);
        parties.explain(&io::Error::other(wrapped))
    }

    #[test]
    fn a_refused_certificate_is_told_with_its_reason_and_the_remedy() {
        let cases = [
            (AlertDescription::CertificateExpired, "it has expired"),
            (AlertDescription::UnknownCA, "an authority that the coordinator does not know"),
            (AlertDescription::CertificateRevoked, "it was revoked"),
            (AlertDescription::BadCertificate, "it is not a valid participant's certificate"),
            (AlertDescription::CertificateRequired, "none arrived"),
        ];
        for (alert, reason) in cases {
            let error = explain(Error::AlertReceived(alert));
            let text = error.to_string();
            assert!(error.is_permanent() && text.contains(reason), "{text}");
            assert!(text.contains("`federated-coordinator enroll cleveland`"), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_coordinator_is_told_apart() {
        let invalid = |problem| explain(Error::InvalidCertificate(problem));
        let error = invalid(CertificateError::UnknownIssuer);
        assert!(matches!(error, TransportError::UntrustedCoordinator { .. }) && error.is_permanent());
        let error = invalid(CertificateError::NotValidForName);
        assert!(matches!(error, TransportError::WrongHost { ref host, .. } if host == "coordinator.example"));
        let error = invalid(CertificateError::Expired);
        assert!(matches!(error, TransportError::CoordinatorCertificate { .. }) && !error.is_permanent());
        let error = explain(Error::AlertReceived(AlertDescription::ProtocolVersion));
        assert!(matches!(error, TransportError::NotACoordinator { .. }));
    }

    #[test]
    fn a_broken_connection_may_be_tried_again() {
        let error = explain(Error::AlertReceived(AlertDescription::InternalError));
        assert!(matches!(error, TransportError::Broken { .. }) && !error.is_permanent());
    }
}
