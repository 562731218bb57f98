use std::{
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
    time::ASN1Time,
};

use super::IdentityError;

/// What a certificate says that the coordinator needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateSummary {
    /// The first second at which it is valid.
    pub not_before: SystemTime,
    /// The last second at which it is valid.
    pub not_after: SystemTime,
    /// Whether it may sign other certificates.
    pub is_authority: bool,
    /// The DNS names and IP addresses that it names, as text.
    pub hosts: Vec<String>,
    /// The URIs that it names.
    pub uris: Vec<String>,
    /// Its public key with the key's algorithm (`SubjectPublicKeyInfo`), DER.
    pub public_key: Vec<u8>,
}

impl CertificateSummary {
    /// Reads a certificate in DER form.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Certificate`] if the bytes are not one X.509 certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, IdentityError> {
        let invalid = |detail: String| IdentityError::Certificate { detail };
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|error| invalid(error.to_string()))?;
        if !rest.is_empty() {
            return Err(invalid(format!("{} bytes follow the certificate", rest.len())));
        }
        let names = certificate.subject_alternative_name().map_err(|error| invalid(error.to_string()))?;
        let (mut hosts, mut uris) = (Vec::new(), Vec::new());
        for name in names.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(host) => hosts.push((*host).to_owned()),
                GeneralName::IPAddress(bytes) => hosts.extend(address(bytes).map(|ip| ip.to_string())),
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                _ => {}
            }
        }
        Ok(Self {
            not_before: moment(certificate.validity().not_before),
            not_after: moment(certificate.validity().not_after),
            is_authority: certificate.is_ca(),
            hosts,
            uris,
            public_key: certificate.public_key().raw.to_vec(),
        })
    }
}

/// The moment an X.509 date stands for; dates before 1970 count as 1970, which every certificate of ours is after.
fn moment(date: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(date.timestamp()).unwrap_or(0))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
