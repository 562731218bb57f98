use std::{fmt, str::FromStr};

use federated_core::ids::{Fingerprint, IdError, ParticipantName};
use rustls::pki_types::CertificateDer;

use super::{CertificateSummary, IdentityError};

const PREFIX: &str = "urn:federated:";

/// The name of a person or tool that operates the coordinator: 1 to 63 of `a-z`, `0-9`, `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperatorName(String);

impl OperatorName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OperatorName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.parse::<ParticipantName>() {
            Ok(name) => Ok(Self(name.into())),
            Err(IdError::Name { found, .. }) => Err(IdError::Name { kind: "operator", found }),
            Err(other) => Err(other),
        }
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a peer may do, and its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a third role changes what every caller must decide")]
pub enum Role {
    /// Trains: joins, downloads models, uploads updates.
    Participant(ParticipantName),
    /// Starts, watches and stops jobs.
    Operator(OperatorName),
}

impl Role {
    /// The name under which the role stands in a certificate.
    #[must_use]
    pub fn to_urn(&self) -> String {
        match self {
            Self::Participant(name) => format!("{PREFIX}participant:{name}"),
            Self::Operator(name) => format!("{PREFIX}operator:{name}"),
        }
    }

    fn from_urn(urn: &str) -> Result<Self, IdentityError> {
        let invalid = || IdentityError::Urn { found: urn.chars().take(120).collect() };
        let (role, name) =
            urn.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':')).ok_or_else(invalid)?;
        match role {
            "participant" => name.parse().map(Self::Participant).map_err(|_| invalid()),
            "operator" => name.parse().map(Self::Operator).map_err(|_| invalid()),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Participant(name) => write!(f, "participant {name}"),
            Self::Operator(name) => write!(f, "operator {name}"),
        }
    }
}

/// Who a peer is: what its certificate says, and nothing that it sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerIdentity {
    /// What it may do, and its name.
    pub role: Role,
    /// The SHA-256 digest of its certificate's DER form.
    pub fingerprint: Fingerprint,
}

impl PeerIdentity {
    /// Reads who a certificate belongs to.
    ///
    /// # Security
    ///
    /// This does not check who signed the certificate: pass only a certificate that TLS has verified.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Certificate`] if it is not X.509, [`IdentityError::Names`] unless it carries exactly one name
    /// that starts with `urn:federated:`, [`IdentityError::Urn`] if that name is of no known form.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let summary = CertificateSummary::from_der(certificate)?;
        let ours: Vec<_> = summary.uris.iter().filter(|uri| uri.starts_with(PREFIX)).collect();
        let [urn] = ours.as_slice() else {
            return Err(IdentityError::Names { found: ours.len() });
        };
        Ok(Self { role: Role::from_urn(urn)?, fingerprint: Fingerprint::of(certificate) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::{
        super::{CertificateAuthority, Validity},
        *,
    };

    fn with_uris(uris: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn an_issued_certificate_says_who_its_holder_is() {
        let validity = Validity::days(SystemTime::now(), 1).unwrap();
        let authority = CertificateAuthority::create(validity).unwrap();
        let name: ParticipantName = "cleveland".parse().unwrap();
        let credential = authority.issue_participant(&name, validity).unwrap();
        let peer = PeerIdentity::from_certificate(credential.certificate()).unwrap();
        assert_eq!(peer.role, Role::Participant(name));
        assert_eq!(peer.fingerprint, credential.fingerprint());

        let credential = authority.issue_operator(&"root".parse().unwrap(), validity).unwrap();
        let peer = PeerIdentity::from_certificate(credential.certificate()).unwrap();
        assert_eq!(peer.role.to_string(), "operator root");
    }

    #[test]
    fn a_certificate_without_exactly_one_good_name_is_nobody() {
        let nobody = |uris: &[&str]| PeerIdentity::from_certificate(&with_uris(uris)).unwrap_err();
        assert!(matches!(nobody(&["https://example.org"]), IdentityError::Names { found: 0 }));
        let two = ["urn:federated:participant:a", "urn:federated:operator:a"];
        assert!(matches!(nobody(&two), IdentityError::Names { found: 2 }));
        for bad in ["urn:federated:participant:../a", "urn:federated:root:a", "urn:federated:participant"] {
            let error = nobody(&[bad]);
            assert!(matches!(error, IdentityError::Urn { .. }), "{bad} gave {error}");
            assert_eq!(error.reason().unwrap().as_str(), "CERTIFICATE_INVALID");
        }
        let error = PeerIdentity::from_certificate(&vec![0_u8; 40].into()).unwrap_err();
        assert!(matches!(error, IdentityError::Certificate { .. }), "{error}");
    }
}
