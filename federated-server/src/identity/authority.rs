use std::{fs, path::Path, time::SystemTime};

use federated_core::ids::{Fingerprint, ParticipantName};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use zeroize::Zeroizing;

use super::{CertificateSummary, Credential, IdentityError, OperatorName, Role, Validity};

/// The coordinator's own certificate authority: whoever it signs for is let in.
///
/// Keys are ECDSA on P-256. A certificate of a server only serves to accept connections, one of a participant or an
/// operator only to open them.
///
/// # Security
///
/// Who holds the private key can become any participant and any operator. Serving does not need it: it may be kept on
/// another machine and brought out for `enroll`.
#[derive(Debug)]
pub struct CertificateAuthority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    not_after: SystemTime,
}

impl CertificateAuthority {
    /// Makes a new authority with a new key.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Generate`] if the machine gives no randomness.
    pub fn create(validity: Validity) -> Result<Self, IdentityError> {
        let key = generate_key()?;
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = validity.to_offset_date_times()?;
        // Part of the key's digest tells two authorities apart, for a person and for TLS.
        let digest = Fingerprint::of(key.public_key_raw()).to_string();
        let name = format!("Federated authority {}", digest.get(..8).unwrap_or_default());
        params.distinguished_name = common_name(&name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params
            .self_signed(&key)
            .map_err(|source| IdentityError::Generate { what: "the certificate of the authority", source })?;
        Ok(Self {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            issuer: Issuer::new(params, key),
            not_after: validity.not_after(),
        })
    }

    /// Reads an authority from its two PEM files.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Read`] or [`IdentityError::Pem`], which name the file, or [`IdentityError::NotAnAuthority`]
    /// if the two do not make an authority.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| IdentityError::Read { path: path.to_owned(), source })
        };
        let (certificate_bytes, key_bytes) = (read(certificate)?, Zeroizing::new(read(key)?));
        let pem = |path: &Path, expected, found: String| IdentityError::Pem {
            path: path.to_owned(),
            expected,
            found,
        };
        let der = CertificateDer::from_pem_slice(&certificate_bytes)
            .map_err(|error| pem(certificate, "a certificate", error.to_string()))?;
        let key = std::str::from_utf8(&key_bytes)
            .map_err(|error| error.to_string())
            .and_then(|text| KeyPair::from_pem(text).map_err(|error| error.to_string()))
            .map_err(|found| pem(key, "a private key", found))?;
        let certificate_pem = String::from_utf8_lossy(&certificate_bytes).into_owned();
        Self::assemble(der, certificate_pem, key)
    }

    fn assemble(
        certificate: CertificateDer<'static>,
        certificate_pem: String,
        key: KeyPair,
    ) -> Result<Self, IdentityError> {
        let summary = CertificateSummary::from_der(&certificate)?;
        if !summary.is_authority {
            return Err(IdentityError::NotAnAuthority { found: "the certificate may not sign others" });
        }
        if summary.public_key != key.subject_public_key_info() {
            return Err(IdentityError::NotAnAuthority {
                found: "the private key belongs to another certificate",
            });
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| IdentityError::Certificate { detail: error.to_string() })?;
        Ok(Self { certificate, certificate_pem, issuer, not_after: summary.not_after })
    }

    /// The authority's certificate in DER form.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authority's certificate in PEM form. Participants need it to recognise the coordinator.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's private key (PKCS #8) in PEM form.
    #[must_use]
    pub fn private_key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// The last second at which the authority's certificate is valid.
    #[must_use]
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Issues the certificate of a coordinator that is reached under `hosts` (DNS names and IP addresses).
    ///
    /// # Errors
    ///
    /// [`IdentityError::Host`] for a host that is neither, [`IdentityError::OutlivesAuthority`],
    /// [`IdentityError::Generate`].
    pub fn issue_server(&self, hosts: &[String], validity: Validity) -> Result<Credential, IdentityError> {
        let names = hosts.iter().map(|host| host_name(host)).collect::<Result<Vec<_>, _>>()?;
        let common = hosts.first().map_or("federated-coordinator", String::as_str);
        self.issue(common, names, ExtendedKeyUsagePurpose::ServerAuth, validity)
    }

    /// Issues the certificate of a participant. Only the [`Roster`](super::Roster) makes it count.
    ///
    /// # Errors
    ///
    /// [`IdentityError::OutlivesAuthority`], [`IdentityError::Generate`].
    pub fn issue_participant(
        &self,
        name: &ParticipantName,
        validity: Validity,
    ) -> Result<Credential, IdentityError> {
        self.issue_client(name.as_str(), &Role::Participant(name.clone()), validity)
    }

    /// Issues the certificate of an operator, who starts and stops jobs.
    ///
    /// # Errors
    ///
    /// [`IdentityError::OutlivesAuthority`], [`IdentityError::Generate`].
    pub fn issue_operator(
        &self,
        name: &OperatorName,
        validity: Validity,
    ) -> Result<Credential, IdentityError> {
        self.issue_client(name.as_str(), &Role::Operator(name.clone()), validity)
    }

    fn issue_client(&self, name: &str, role: &Role, validity: Validity) -> Result<Credential, IdentityError> {
        let urn =
            role.to_urn().try_into().map_err(|source| IdentityError::Generate { what: "a name", source })?;
        self.issue(name, vec![SanType::URI(urn)], ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    fn issue(
        &self,
        common: &str,
        names: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> Result<Credential, IdentityError> {
        if validity.not_after() > self.not_after {
            let (requested, authority) = (validity.not_after(), self.not_after);
            return Err(IdentityError::OutlivesAuthority { requested, authority });
        }
        let key = generate_key()?;
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = validity.to_offset_date_times()?;
        params.distinguished_name = common_name(common);
        params.subject_alt_names = names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|source| IdentityError::Generate { what: "a certificate", source })?;
        Ok(Credential::new(certificate, &key, validity.not_after()))
    }
}

fn generate_key() -> Result<KeyPair, IdentityError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|source| IdentityError::Generate { what: "a private key", source })
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    // RFC 5280 ends a common name at 64 characters; a host may be longer and is in the alternative names in full.
    distinguished.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    distinguished
}

fn host_name(host: &str) -> Result<SanType, IdentityError> {
    let invalid = || IdentityError::Host { found: host.chars().take(120).collect() };
    match ServerName::try_from(host).map_err(|_| invalid())? {
        ServerName::IpAddress(address) => Ok(SanType::IpAddress(std::net::IpAddr::from(address))),
        ServerName::DnsName(name) => name.as_ref().try_into().map(SanType::DnsName).map_err(|_| invalid()),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> CertificateAuthority {
        CertificateAuthority::create(Validity::days(SystemTime::now(), 10).unwrap()).unwrap()
    }

    fn days(days: u32) -> Validity {
        Validity::days(SystemTime::now(), days).unwrap()
    }

    #[test]
    fn an_authority_survives_its_files() {
        let made = authority();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
        fs::write(&certificate, made.certificate_pem()).unwrap();
        fs::write(&key, made.private_key_pem().as_str()).unwrap();
        let loaded = CertificateAuthority::load(&certificate, &key).unwrap();
        assert_eq!(loaded.certificate(), made.certificate());
        assert_eq!(loaded.not_after(), made.not_after());

        fs::write(&key, authority().private_key_pem().as_str()).unwrap();
        let error = CertificateAuthority::load(&certificate, &key).unwrap_err();
        assert!(matches!(error, IdentityError::NotAnAuthority { .. }), "{error}");
        let error = CertificateAuthority::load(&key, &key).unwrap_err();
        assert!(error.to_string().contains("ca.key"), "{error}");
    }

    #[test]
    fn a_server_is_named_by_dns_names_and_addresses() {
        let hosts = ["coordinator.example", "127.0.0.1", "::1"].map(str::to_owned);
        let credential = authority().issue_server(&hosts, days(1)).unwrap();
        let summary = CertificateSummary::from_der(credential.certificate()).unwrap();
        assert_eq!(summary.hosts, hosts);
        assert!(!summary.is_authority);
        for bad in ["", "a b", "https://coordinator.example", "host:8443"] {
            let error = authority().issue_server(&[bad.to_owned()], days(1)).unwrap_err();
            assert!(matches!(error, IdentityError::Host { .. }), "{bad:?} gave {error}");
        }
    }

    #[test]
    fn no_certificate_outlives_its_authority() {
        let error = authority().issue_operator(&"operator".parse().unwrap(), days(11)).unwrap_err();
        assert!(matches!(error, IdentityError::OutlivesAuthority { .. }), "{error}");
    }

    #[test]
    fn debug_output_shows_no_private_key() {
        let authority = authority();
        let credential = authority.issue_operator(&"operator".parse().unwrap(), days(1)).unwrap();
        let shown = format!("{authority:?} {credential:?}");
        let secret = credential.private_key_pem().lines().nth(1).unwrap();
        assert!(!shown.contains(secret) && !shown.contains("PRIVATE"), "{shown}");
    }
}
