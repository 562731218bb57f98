use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use federated_core::{fault::Fault, ids::ParticipantName};
use rustls::{
    ClientConfig, RootCertStore,
    client::WebPkiServerVerifier,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    version::TLS13,
};

use super::SiteCertificate;
use crate::config::TlsFiles;

/// The application protocol asked for: HTTP/2, which carries gRPC.
const ALPN: &[u8] = b"h2";

/// Why the files of the `[tls]` table do not make an identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("{key}: cannot read {path}: {source}; the bundle of `federated-coordinator enroll NAME` has it", path = .path.display())]
    Read {
        /// The key in the configuration, for instance `tls.ca`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{key}: expected {path} to hold {expected} in PEM form, found {found}", path = .path.display())]
    Pem {
        /// The key in the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong.
        found: String,
    },
    /// Certificate and private key do not belong together, or cannot be used for TLS.
    #[error("tls.key: {path} is not usable with the certificate of tls.certificate: {source}; use both from one bundle", path = .path.display())]
    KeyPair {
        /// The file of the key.
        path: PathBuf,
        /// What TLS says.
        source: rustls::Error,
    },
    /// TLS 1.3 cannot be set up with what is given.
    #[error("tls.ca: {path} cannot be used to recognise the coordinator: {detail}", path = .path.display())]
    Authority {
        /// The file of the authority.
        path: PathBuf,
        /// What TLS says.
        detail: String,
    },
    /// The certificate belongs to someone else than the configuration says.
    #[error(
        "name: expected the participant that the certificate {path} names, {certificate}, found `{configured}`; \
         use the bundle that was made for `{configured}`",
        path = .path.display()
    )]
    WrongName {
        /// The name in the configuration.
        configured: ParticipantName,
        /// The names in the certificate, or that there is none.
        certificate: String,
        /// The file of the certificate.
        path: PathBuf,
    },
}

impl IdentityError {
    /// Whose fault it is: the caller's configuration, or the machine that keeps the files.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Read { .. } => Fault::Environment,
            _ => Fault::Caller,
        }
    }

    /// The key in the configuration that the error is about, for instance `tls.ca`.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Read { key, .. } | Self::Pem { key, .. } => key,
            Self::KeyPair { .. } => "tls.key",
            Self::Authority { .. } => "tls.ca",
            Self::WrongName { .. } => "name",
        }
    }
}

/// Who this participant is and whom it trusts, ready for TLS 1.3.
#[derive(Clone)]
pub struct SiteIdentity {
    name: ParticipantName,
    certificate: SiteCertificate,
    tls: Arc<ClientConfig>,
}

impl SiteIdentity {
    /// Reads certificate, key and authority, and checks that the certificate names `name`.
    ///
    /// # Errors
    /// [`IdentityError`], which names the key in the configuration, the file and what to do.
    ///
    /// # Security
    /// Only the authority in `files.ca` is trusted to name a coordinator; the system's authorities are not.
    pub fn load(files: &TlsFiles, name: &ParticipantName) -> Result<Self, IdentityError> {
        let mut roots = RootCertStore::empty();
        let authority = |detail: String| IdentityError::Authority { path: files.ca.clone(), detail };
        for certificate in certificates("tls.ca", &files.ca)? {
            roots.add(certificate).map_err(|error| authority(error.to_string()))?;
        }
        let chain = certificates("tls.certificate", &files.certificate)?;
        let leaf = chain.first().map_or(&[][..], |certificate| certificate.as_ref());
        let certificate = parse("tls.certificate", &files.certificate, leaf)?;
        let key = private_key(&files.key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| authority(error.to_string()))?;
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| authority(error.to_string()))?
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(chain, key)
            .map_err(|source| IdentityError::KeyPair { path: files.key.clone(), source })?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        // Early data can be replayed.
        tls.enable_early_data = false;
        if certificate.participants != [name.clone()] {
            return Err(IdentityError::WrongName {
                configured: name.clone(),
                certificate: listed(&certificate.participants),
                path: files.certificate.clone(),
            });
        }
        Ok(Self { name: name.clone(), certificate, tls: Arc::new(tls) })
    }

    /// The participant's name.
    #[must_use]
    pub const fn name(&self) -> &ParticipantName {
        &self.name
    }

    /// What the certificate says.
    #[must_use]
    pub const fn certificate(&self) -> &SiteCertificate {
        &self.certificate
    }

    pub(super) fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }
}

impl fmt::Debug for SiteIdentity {
    /// Without the TLS configuration, which holds the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteIdentity")
            .field("name", &self.name)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

fn listed(names: &[ParticipantName]) -> String {
    if names.is_empty() {
        return "which is none".to_owned();
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// What the certificates in a PEM file say, at least one.
pub(crate) fn read_certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<SiteCertificate>, IdentityError> {
    certificates(key, path)?.iter().map(|certificate| parse(key, path, certificate)).collect()
}

pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable("tls.key", path, "a private key", error))
}

/// The certificates in a PEM file, at least one.
fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let failed = |error| unreadable(key, path, "a certificate", error);
    let chain: Vec<_> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(failed)?;
    if chain.is_empty() {
        return Err(failed(pem::Error::NoItemsFound));
    }
    Ok(chain)
}

fn parse(key: &'static str, path: &Path, der: &[u8]) -> Result<SiteCertificate, IdentityError> {
    SiteCertificate::from_der(der).map_err(|found| IdentityError::Pem {
        key,
        path: path.to_owned(),
        expected: "a certificate",
        found,
    })
}

fn unreadable(key: &'static str, path: &Path, expected: &'static str, error: pem::Error) -> IdentityError {
    let path = path.to_owned();
    let found = match error {
        pem::Error::Io(source) if source.kind() != io::ErrorKind::InvalidData => {
            return IdentityError::Read { key, path, source };
        }
        pem::Error::NoItemsFound => "none".to_owned(),
        other => other.to_string(),
    };
    IdentityError::Pem { key, path, expected, found }
}
