use std::{net::IpAddr, path::PathBuf, time::SystemTime};

use federated_core::ids::ParticipantName;

use super::{SetupError, authority_of, same_host};
use crate::{
    config::{CoordinatorAddress, CoordinatorConfig},
    identity::{Credential, Enrolment, IdentityError, Roster, Validity, files},
};

const TEMPLATE: &str = include_str!("participant.toml");

/// What [`enroll`] shall make.
#[derive(Clone, Debug)]
pub struct EnrollOptions {
    /// The coordinator's folder.
    pub dir: PathBuf,
    /// Who is enrolled.
    pub name: ParticipantName,
    /// The bundle's folder, which must not exist; the participant's name in the working folder by default.
    pub out: Option<PathBuf>,
    /// Where the participant reaches the coordinator; by default the first host of the server's certificate, with
    /// the port that the coordinator listens on.
    pub address: Option<CoordinatorAddress>,
    /// How long the participant's certificate is valid, in days.
    pub days: u32,
}

impl EnrollOptions {
    /// The participant `name` of the coordinator in `dir`, for a year.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, name: ParticipantName) -> Self {
        Self { dir: dir.into(), name, out: None, address: None, days: Validity::LEAF_DAYS }
    }
}

/// What [`enroll`] made: a folder ready to be copied to the site.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bundle {
    /// The folder, with `participant.toml`, `participant.pem`, `participant.key` and `ca.pem`.
    pub folder: PathBuf,
    /// Where the participant will look for the coordinator.
    pub address: CoordinatorAddress,
    /// The last second at which the participant's certificate is valid.
    pub not_after: SystemTime,
    /// Whether the participant was enrolled before: its former certificate counts no more.
    pub replaced: bool,
}

/// Enrolls a participant and writes its bundle. It works while the coordinator serves.
///
/// # Errors
///
/// [`SetupError::BundleExists`], [`SetupError::HostNotNamed`] for an address that the server's certificate does not
/// name, [`SetupError::Address`] if none is asked for and the coordinator listens on port 0, [`SetupError::Config`] if
/// `dir` holds no coordinator, [`SetupError::Identity`].
///
/// # Security
///
/// The bundle holds the participant's private key: carry it over a channel that only the site can read.
pub fn enroll(options: &EnrollOptions, now: SystemTime) -> Result<Bundle, SetupError> {
    let config = CoordinatorConfig::in_dir(&options.dir)?;
    let folder = options.out.clone().unwrap_or_else(|| PathBuf::from(options.name.as_str()));
    if folder.exists() {
        return Err(SetupError::BundleExists { path: folder });
    }
    let address = address(options.address.clone(), &config)?;
    let authority = authority_of(&config)?;
    let credential = authority.issue_participant(&options.name, Validity::days(now, options.days)?)?;

    let enrolment = Enrolment::of(&credential, now);
    let bundle = Bundle { folder, address, not_after: credential.not_after(), replaced: false };
    write(&bundle, &options.name, authority.certificate_pem(), &credential)?;
    // After the bundle: a bundle that cannot be written leaves the participant's present certificate in force.
    let roster = Roster::new(config.enrolled);
    let replaced = roster.get(&options.name)?.is_some();
    roster.enroll(&options.name, &enrolment)?;
    Ok(Bundle { replaced, ..bundle })
}

fn address(
    asked: Option<CoordinatorAddress>,
    config: &CoordinatorConfig,
) -> Result<CoordinatorAddress, SetupError> {
    let hosts = super::renew::server_hosts(config)?;
    match asked {
        Some(address) if hosts.iter().any(|host| same_host(host, address.host())) => Ok(address),
        Some(address) => {
            Err(SetupError::HostNotNamed { host: address.host().to_owned(), named: hosts.join(", ") })
        }
        None => {
            let host = hosts.first().map_or("localhost", String::as_str);
            let bracketed = if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            format!("https://{bracketed}:{}", config.listen.port()).parse().map_err(SetupError::Address)
        }
    }
}

fn write(
    bundle: &Bundle,
    name: &ParticipantName,
    ca_pem: &str,
    credential: &Credential,
) -> Result<(), IdentityError> {
    let Bundle { folder, address, not_after, .. } = bundle;
    files::create_private_folder(folder)?;
    files::write_private(&folder.join("participant.key"), credential.private_key_pem())?;
    files::write_public(&folder.join("participant.pem"), &credential.certificate_pem())?;
    files::write_public(&folder.join("ca.pem"), ca_pem)?;
    let text = TEMPLATE
        .replace("{name}", name.as_str())
        .replace("{address}", &address.to_string())
        .replace("{not_after}", &humantime::format_rfc3339_seconds(*not_after).to_string());
    files::write_public(&folder.join("participant.toml"), &text)
}
