use std::{path::Path, time::SystemTime};

use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::{SetupError, authority_of, init::with_local};
use crate::{
    config::CoordinatorConfig,
    identity::{CertificateSummary, Credential, IdentityError, PeerIdentity, Role, Validity, files, tls},
};

/// What [`renew`] made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Renewal {
    /// The hosts that the server's certificate names now.
    pub hosts: Vec<String>,
    /// The last second at which the new certificates are valid.
    pub not_after: SystemTime,
}

/// Replaces the server's and the operator's certificate and key, valid for `days` days, signed by the same authority:
/// participants notice nothing. The hosts stay as they were unless `hosts` names others.
///
/// A coordinator that runs goes on with its old certificate until it is restarted.
///
/// # Errors
///
/// [`SetupError::Config`] if `dir` holds no coordinator, [`SetupError::Identity`] if the authority's key is not there
/// or a file cannot be written.
pub fn renew(dir: &Path, hosts: &[String], days: u32, now: SystemTime) -> Result<Renewal, SetupError> {
    let config = CoordinatorConfig::in_dir(dir)?;
    let authority = authority_of(&config)?;
    let validity = Validity::days(now, days)?;
    let hosts = if hosts.is_empty() { server_hosts(&config)? } else { with_local(hosts) };
    let operator_files = &config.operator.tls;
    let operator = PeerIdentity::from_certificate(&read(&operator_files.certificate)?)?;

    let server = authority.issue_server(&hosts, validity)?;
    replace(&config.tls.certificate, &config.tls.key, &server)?;
    if let Role::Operator(name) = operator.role {
        let credential = authority.issue_operator(&name, validity)?;
        replace(&operator_files.certificate, &operator_files.key, &credential)?;
    }
    Ok(Renewal { hosts, not_after: validity.not_after() })
}

/// The hosts that the coordinator's present certificate names.
pub(super) fn server_hosts(config: &CoordinatorConfig) -> Result<Vec<String>, IdentityError> {
    Ok(CertificateSummary::from_der(&read(&config.tls.certificate)?)?.hosts)
}

pub(super) fn read(path: &Path) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_file(path).map_err(|error| tls::unreadable(path, "a certificate", error))
}

fn replace(certificate: &Path, key: &Path, credential: &Credential) -> Result<(), IdentityError> {
    files::replace_private(key, credential.private_key_pem())?;
    files::replace_public(certificate, &credential.certificate_pem())
}
