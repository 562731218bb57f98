use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use federated_core::ids::IdError;

use super::{SetupError, same_host};
use crate::{
    config::{CoordinatorAddress, CoordinatorConfig},
    identity::{CertificateAuthority, Credential, IdentityError, OperatorName, Validity, files},
};

const TEMPLATE: &str = include_str!("coordinator.toml");
/// The hosts that every coordinator's certificate names, so that operators on its machine reach it.
const LOCAL: [&str; 2] = ["localhost", "127.0.0.1"];

/// What [`init`] shall make.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// The coordinator's folder; made if it does not exist.
    pub dir: PathBuf,
    /// Hosts (DNS names, IP addresses) under which participants reach the coordinator; the first one is the default
    /// of [`enroll`](super::enroll). `localhost` and `127.0.0.1` are added.
    pub hosts: Vec<String>,
    /// Where the coordinator accepts connections. Port 0 lets the system choose one at each start; the file then gives
    /// operators the default port, and each enrolment must say where the participant connects to.
    pub listen: SocketAddr,
    /// How long the server's and the operator's certificates are valid, in days.
    pub days: u32,
}

impl InitOptions {
    /// A coordinator in `dir` that is reached from its own machine, on the default port, for a year.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        let listen = CoordinatorConfig::defaults_in(&dir).listen;
        Self { dir, hosts: Vec::new(), listen, days: Validity::LEAF_DAYS }
    }
}

/// Makes a coordinator's folder: an authority, the server's and an operator's certificate, an empty roster, and an
/// annotated `coordinator.toml`. Gives back what that file says.
///
/// Keys are readable for their owner only (mode 0600, folders 0700).
///
/// # Errors
///
/// [`SetupError::AlreadyInitialised`] if there is a `coordinator.toml`; otherwise [`SetupError::Identity`] for a
/// host that is none, a validity of 0 days or beyond the authority's ten years, or a file that cannot be written.
pub fn init(options: &InitOptions, now: SystemTime) -> Result<CoordinatorConfig, SetupError> {
    let file = options.dir.join(CoordinatorConfig::FILE);
    if file.exists() {
        return Err(SetupError::AlreadyInitialised { path: file });
    }
    let config = CoordinatorConfig::defaults_in(&options.dir);
    let validity = Validity::days(now, options.days)?;
    let authority = CertificateAuthority::create(Validity::days(now, Validity::AUTHORITY_DAYS)?)?;
    let server = authority.issue_server(&with_local(&options.hosts), validity)?;
    let operator = authority.issue_operator(&default_operator()?, validity)?;

    files::create_private_folder(&options.dir)?;
    files::create_private_folder(&config.state)?;
    files::create_private_folder(&config.enrolled)?;
    let ca_key = config.tls.ca.with_extension("key");
    write_pair(&config.tls.ca, authority.certificate_pem(), &ca_key, &authority.private_key_pem())?;
    write_credential(&config.tls.certificate, &config.tls.key, &server)?;
    write_credential(&config.operator.tls.certificate, &config.operator.tls.key, &operator)?;
    let address = match options.listen.port() {
        // The system chooses when the coordinator starts: only whoever starts it learns where operators reach it.
        0 => config.operator.address,
        port => CoordinatorAddress::local(port),
    };
    let text =
        TEMPLATE.replace("{listen}", &options.listen.to_string()).replace("{address}", &address.to_string());
    // Last, because this file says that all the others are there.
    files::write_public(&file, &text)?;
    Ok(CoordinatorConfig::parse(&text, &file)?)
}

pub(super) fn with_local(hosts: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for host in hosts.iter().map(String::as_str).chain(LOCAL) {
        if !all.iter().any(|known| same_host(known, host)) {
            all.push(host.to_owned());
        }
    }
    all
}

fn default_operator() -> Result<OperatorName, IdentityError> {
    "operator".parse().map_err(|error: IdError| IdentityError::Certificate { detail: error.to_string() })
}

fn write_credential(certificate: &Path, key: &Path, credential: &Credential) -> Result<(), IdentityError> {
    write_pair(certificate, &credential.certificate_pem(), key, credential.private_key_pem())
}

fn write_pair(
    certificate: &Path,
    certificate_pem: &str,
    key: &Path,
    key_pem: &str,
) -> Result<(), IdentityError> {
    for folder in [certificate.parent(), key.parent()].into_iter().flatten() {
        files::create_private_folder(folder)?;
    }
    files::write_private(key, key_pem)?;
    files::write_public(certificate, certificate_pem)
}
