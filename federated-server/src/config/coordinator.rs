use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use federated_core::config::parse_toml;

use super::{
    ConfigError, CoordinatorAddress, JobsConfig, JournalConfig, Limits, LogConfig, SpoolConfig, check::check,
};

/// The files of one side of a TLS connection, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the authority that the other side's certificate must come from.
    pub ca: PathBuf,
    /// This side's certificate.
    pub certificate: PathBuf,
    /// The private key of this side's certificate.
    pub key: PathBuf,
}

/// How the commands `start`, `status` and `stop` reach the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorConfig {
    /// Where the coordinator is reached.
    pub address: CoordinatorAddress,
    /// The operator's certificate and key, and the authority of the coordinator's certificate.
    pub tls: TlsFiles,
}

/// What a coordinator runs with.
///
/// [`CoordinatorConfig::load`] reads it from a file. Code that embeds a coordinator starts from
/// [`CoordinatorConfig::in_dir`] or [`CoordinatorConfig::defaults_in`] and sets fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorConfig {
    /// Where connections are accepted. Port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// The folder for models and, unless `journal` and `spool` say otherwise, for jobs and updates.
    pub state: PathBuf,
    /// Where it is written down what happened to every job.
    pub journal: JournalConfig,
    /// Where updates are kept until they are combined.
    pub spool: SpoolConfig,
    /// The folder of the roster.
    pub enrolled: PathBuf,
    /// The coordinator's long-lived signing key, which `signing-key` makes. Without one it signs nothing.
    pub signing_key: Option<PathBuf>,
    /// The coordinator's certificate and key, and the authority of its peers.
    pub tls: TlsFiles,
    /// How many jobs run, and how long they are kept.
    pub jobs: JobsConfig,
    /// What peers may use.
    pub limits: Limits,
    /// What is logged.
    pub log: LogConfig,
    /// How operators on this machine reach the coordinator.
    pub operator: OperatorConfig,
}

impl CoordinatorConfig {
    /// The name of the file in a coordinator's folder.
    pub const FILE: &str = "coordinator.toml";

    /// Reads `dir/coordinator.toml`, the file that `init` makes.
    ///
    /// # Errors
    ///
    /// As [`CoordinatorConfig::load`].
    pub fn in_dir(dir: &Path) -> Result<Self, ConfigError> {
        Self::load(&dir.join(Self::FILE))
    }

    /// Reads a configuration file. Relative paths in it start at the file's folder.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the file and the setting.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(file).map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Self::parse(&text, file)
    }

    /// Reads the text of a configuration file. `file` is named in errors, and relative paths start at its folder.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the file and the setting.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let folder = file.parent().unwrap_or(Path::new(""));
        parse_toml(text)
            .and_then(|raw| check(raw, folder))
            .map_err(|mistake| ConfigError::Invalid { file: file.to_owned(), mistake })
    }

    /// What an empty `dir/coordinator.toml` would mean: every setting at its default.
    #[must_use]
    pub fn defaults_in(dir: &Path) -> Self {
        let ca = dir.join("ca/ca.pem");
        let files = |role: &str| TlsFiles {
            ca: ca.clone(),
            certificate: dir.join(role).join(role).with_extension("pem"),
            key: dir.join(role).join(role).with_extension("key"),
        };
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8443),
            state: dir.join("state"),
            journal: JournalConfig::default(),
            spool: SpoolConfig::default(),
            enrolled: dir.join("enrolled"),
            signing_key: None,
            tls: files("server"),
            jobs: JobsConfig::default(),
            limits: Limits::default(),
            log: LogConfig::default(),
            operator: OperatorConfig { address: CoordinatorAddress::local(8443), tls: files("operator") },
        }
    }
}
