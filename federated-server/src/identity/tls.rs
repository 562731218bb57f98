//! From certificate files to a TLS configuration: TLS 1.3 only, the ring provider, certificates on both sides.

use std::{io, path::Path, sync::Arc, time::SystemTime};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::WebPkiServerVerifier,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::WebPkiClientVerifier,
    version::TLS13,
};

use super::{CertificateSummary, IdentityError};
use crate::config::TlsFiles;

/// The application protocol that both sides ask for: HTTP/2, which carries gRPC.
const ALPN: &[u8] = b"h2";
/// A certificate that ends sooner is worth a warning.
const SOON: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 60 * 60);

/// The configuration of a server that accepts only peers with a certificate of `files.ca`.
///
/// Warns (`tracing`) about a certificate of the files that expires within 30 days after `now`, and about a private
/// key that others on the machine may read.
///
/// # Errors
///
/// [`IdentityError`], which names the file and what to do: one is missing, holds something else, is not valid at
/// `now`, or certificate and key do not belong together.
///
/// # Security
///
/// TLS says that the peer holds a certificate of the authority; [`PeerIdentity`](super::PeerIdentity) says whose, and
/// the [`Roster`](super::Roster) whether it still counts. No early data is accepted: it can be replayed.
pub fn server_config(files: &TlsFiles, now: SystemTime) -> Result<Arc<ServerConfig>, IdentityError> {
    let Loaded { provider, roots, chain, key } = Loaded::from_files(files, now)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|error| IdentityError::Authority { path: files.ca.clone(), detail: error.to_string() })?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| IdentityError::Tls { source })?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|source| key_pair(files, source))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// The configuration of a client that shows its certificate and accepts only a server with a certificate of
/// `files.ca`.
///
/// Warns as [`server_config`] does.
///
/// # Errors
///
/// As [`server_config`].
pub fn client_config(files: &TlsFiles, now: SystemTime) -> Result<Arc<ClientConfig>, IdentityError> {
    let Loaded { provider, roots, chain, key } = Loaded::from_files(files, now)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|error| IdentityError::Authority { path: files.ca.clone(), detail: error.to_string() })?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|source| IdentityError::Tls { source })?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .map_err(|source| key_pair(files, source))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_early_data = false;
    Ok(Arc::new(config))
}

fn key_pair(files: &TlsFiles, source: rustls::Error) -> IdentityError {
    IdentityError::KeyPair { certificate: files.certificate.clone(), key: files.key.clone(), source }
}

struct Loaded {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Loaded {
    fn from_files(files: &TlsFiles, now: SystemTime) -> Result<Self, IdentityError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.ca, now)? {
            let unusable = |error: rustls::Error| IdentityError::Authority {
                path: files.ca.clone(),
                detail: error.to_string(),
            };
            roots.add(certificate).map_err(unusable)?;
        }
        let chain = certificates(&files.certificate, now)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| unreadable(&files.key, "a private key", error))?;
        warn_if_others_may_read(&files.key);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(Self { provider, roots: Arc::new(roots), chain, key })
    }
}

/// The certificates in a PEM file, at least one, all valid at `now`.
fn certificates(path: &Path, now: SystemTime) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let failed = |error| unreadable(path, "a certificate", error);
    let chain: Vec<_> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(failed)?;
    if chain.is_empty() {
        return Err(failed(pem::Error::NoItemsFound));
    }
    for certificate in &chain {
        check_dates(path, certificate, now)?;
    }
    Ok(chain)
}

fn check_dates(path: &Path, certificate: &CertificateDer<'_>, now: SystemTime) -> Result<(), IdentityError> {
    let CertificateSummary { not_before, not_after, .. } = CertificateSummary::from_der(certificate)
        .map_err(|error| IdentityError::Pem {
            path: path.to_owned(),
            expected: "a certificate",
            found: error.to_string(),
        })?;
    if now < not_before || now > not_after {
        return Err(IdentityError::OutOfDate { path: path.to_owned(), not_before, not_after, now });
    }
    if now.checked_add(SOON).is_some_and(|soon| soon > not_after) {
        let not_after = humantime::format_rfc3339_seconds(not_after);
        tracing::warn!(file = %path.display(), %not_after, "a certificate expires soon: renew it before");
    }
    Ok(())
}

pub(super) fn unreadable(path: &Path, expected: &'static str, error: pem::Error) -> IdentityError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) if source.kind() != io::ErrorKind::InvalidData => {
            IdentityError::Read { path, source }
        }
        pem::Error::NoItemsFound => IdentityError::Pem { path, expected, found: "none".to_owned() },
        other => IdentityError::Pem { path, expected, found: other.to_string() },
    }
}

#[cfg(unix)]
pub(super) fn warn_if_others_may_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o077 != 0 {
        let mode = format!("{:o}", mode & 0o777);
        tracing::warn!(file = %path.display(), mode, "a private key is open to others on this machine: chmod 600 it");
    }
}

#[cfg(not(unix))]
pub(super) fn warn_if_others_may_read(_path: &Path) {}

#[cfg(test)]
mod tests;
