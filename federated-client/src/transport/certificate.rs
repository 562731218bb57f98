use std::time::{Duration, SystemTime, UNIX_EPOCH};

use federated_core::ids::ParticipantName;
use x509_parser::{extensions::GeneralName, prelude::FromDer, prelude::X509Certificate, time::ASN1Time};

/// What a participant's name is preceded by in its certificate.
const PREFIX: &str = "urn:federated:participant:";

/// What a certificate says about its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SiteCertificate {
    /// The participants it names (SAN URIs `urn:federated:participant:NAME`); one in a usable certificate.
    pub participants: Vec<ParticipantName>,
    /// The first second at which it is valid.
    pub not_before: SystemTime,
    /// The last second at which it is valid.
    pub not_after: SystemTime,
}

impl SiteCertificate {
    /// Reads a certificate in DER form; the error is the parser's words.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let names = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
        let uris =
            names.iter().flat_map(|extension| &extension.value.general_names).filter_map(|name| match name {
                GeneralName::URI(uri) => uri.strip_prefix(PREFIX),
                _ => None,
            });
        Ok(Self {
            participants: uris.filter_map(|name| name.parse().ok()).collect(),
            not_before: moment(certificate.validity().not_before),
            not_after: moment(certificate.validity().not_after),
        })
    }
}

/// The moment an X.509 date stands for; dates before 1970 count as 1970.
fn moment(date: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(date.timestamp()).unwrap_or(0))
}
