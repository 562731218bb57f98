use std::{
    fs,
    path::{Path, PathBuf},
};

use federated_core::{
    config::{ConfigError as Mistake, parse_size, parse_toml},
    ids::{Digest, ParticipantName},
    privacy::secagg::VerifyingPublic,
};

use super::{
    ConfigError, CoordinatorAddress, LogConfig, SiteBudget,
    raw::{RawParticipant, RawPolicy, RawSecureAggregation},
};
use crate::{
    device::{Device, DeviceError},
    policy::SitePolicy,
};

/// The files that say who this participant is and whom it trusts, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the authority that the coordinator's certificate must come from.
    pub ca: PathBuf,
    /// This participant's certificate.
    pub certificate: PathBuf,
    /// The private key of that certificate.
    pub key: PathBuf,
}

/// The table that the built-in trainer trains on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFile {
    /// Comma-separated values with a header line.
    pub csv: PathBuf,
    /// The column to predict.
    pub label: String,
}

/// Who this participant is in secure aggregation, and what it insists on there whatever the coordinator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecureFiles {
    /// Its long-lived key: the file that `federated-client secagg-key` makes.
    pub signing_key: PathBuf,
    /// Everyone's public keys, agreed on out of band: a line for each with the name and the key.
    pub pinned_roster: PathBuf,
    /// The fewest participants whose sum its update may be in; 3 by default.
    pub min_cohort: u32,
    /// The smallest threshold: so many must join forces to unmask its update; 2 by default.
    pub min_threshold: u8,
    /// The public half of the coordinator's signing key, agreed on out of band: results are checked with it.
    pub coordinator_key: Option<VerifyingPublic>,
    /// Whether a job gets no further update once a result is wrong or missing; `false` by default.
    pub require_signed_result: bool,
}

/// What a participant runs with: `participant.toml`, or made in code.
///
/// # Examples
/// ```
/// use std::path::Path;
/// use federated_client::config::ParticipantConfig;
///
/// let text = r#"
///     name = "cleveland"
///     coordinator = "https://coordinator.example:8443"
///     tls = { ca = "ca.pem", certificate = "participant.pem", key = "participant.key" }
/// "#;
/// let config = ParticipantConfig::parse(text, Path::new("/srv/site/participant.toml"))?;
/// assert_eq!(config.tls.ca, Path::new("/srv/site/ca.pem"));
/// # Ok::<(), federated_client::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ParticipantConfig {
    /// Who this participant is: the name in its certificate.
    pub name: ParticipantName,
    /// Where the coordinator is.
    pub coordinator: CoordinatorAddress,
    /// Where training runs. Only the built-in trainer reads it.
    pub device: Device,
    /// The folder for unfinished downloads, updates that are not yet delivered, and final models.
    pub state: PathBuf,
    /// Certificate, key and authority.
    pub tls: TlsFiles,
    /// The table of the built-in trainer.
    pub data: Option<TableFile>,
    /// What this site agrees to.
    pub policy: SitePolicy,
    /// Who it is in secure aggregation; without it such jobs are declined.
    pub secure_aggregation: Option<SecureFiles>,
    /// What may ever be released from this site's records; without it there is no ledger, and no limit of the site's own.
    pub privacy: Option<SiteBudget>,
    /// What is logged. Only the binary reads it.
    pub log: LogConfig,
}

impl ParticipantConfig {
    /// The configuration of a bundle in `folder` with every setting at its default: the files `ca.pem`,
    /// `participant.pem` and `participant.key`, and the state in `state`.
    #[must_use]
    pub fn new(name: ParticipantName, coordinator: CoordinatorAddress, folder: &Path) -> Self {
        Self {
            name,
            coordinator,
            device: Device::Auto,
            state: folder.join("state"),
            tls: TlsFiles {
                ca: folder.join("ca.pem"),
                certificate: folder.join("participant.pem"),
                key: folder.join("participant.key"),
            },
            data: None,
            policy: SitePolicy::default(),
            secure_aggregation: None,
            privacy: None,
            log: LogConfig::default(),
        }
    }

    /// Reads a configuration file. Relative paths in it start at its folder.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file, the key, what was expected, what was found and what to do.
    pub fn load(file: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let file = file.as_ref();
        let text =
            fs::read_to_string(file).map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Self::parse(&text, file)
    }

    /// Parses the text of `file`, without reading that file.
    ///
    /// # Errors
    /// As [`ParticipantConfig::load`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let folder = file.parent().unwrap_or(Path::new(""));
        parse_toml(text)
            .and_then(|raw| check(raw, folder))
            .map_err(|mistake| ConfigError::Invalid { file: file.to_owned(), mistake })
    }
}

fn check(raw: RawParticipant, folder: &Path) -> Result<ParticipantConfig, Mistake> {
    let name = raw.name.parse().map_err(|_| {
        let expected = "1 to 63 characters from a-z, 0-9 and '-', starting and ending with a letter or digit";
        let hint = "it is the name given to `federated-coordinator enroll`";
        Mistake::text("name", expected, &raw.name, hint)
    })?;
    let defaults =
        ParticipantConfig::new(name, CoordinatorAddress::parse("coordinator", &raw.coordinator)?, folder);
    let data = raw.data.map(|table| TableFile { csv: folder.join(table.csv), label: table.label });
    if data.as_ref().is_some_and(|table| table.label.is_empty()) {
        return Err(Mistake::value("data.label", "the name of a column", "\"\"", ""));
    }
    let secure = raw.secure_aggregation;
    let secure_aggregation_only = secure.as_ref().is_some_and(|secure| secure.required);
    let private_only = raw.privacy.as_ref().is_some_and(|privacy| privacy.required);
    Ok(ParticipantConfig {
        device: raw.device.map_or(Ok(defaults.device), |text| device(&text))?,
        state: raw.state.map_or(defaults.state, |state| folder.join(state)),
        tls: TlsFiles {
            ca: folder.join(raw.tls.ca),
            certificate: folder.join(raw.tls.certificate),
            key: folder.join(raw.tls.key),
        },
        data,
        policy: SitePolicy { secure_aggregation_only, private_only, ..policy(raw.policy)? },
        secure_aggregation: secure.map(|raw| secure_files(raw, folder)).transpose()?,
        privacy: raw.privacy.map(|raw| SiteBudget::parse(raw, folder)).transpose()?,
        log: LogConfig::parse(raw.log.format.as_deref(), raw.log.level.as_deref())?,
        name: defaults.name,
        coordinator: defaults.coordinator,
    })
}

fn device(text: &str) -> Result<Device, Mistake> {
    match text.parse() {
        Ok(device) => Ok(device),
        // Read as written: an argument may replace it, and `check` tells what this program lacks.
        Err(DeviceError::NotBuilt { index }) => Ok(Device::Cuda { index }),
        Err(_) => {
            let expected = "\"auto\", \"cpu\" or \"cuda:N\"";
            Err(Mistake::text("device", expected, text, "the first GPU is \"cuda:0\""))
        }
    }
}

fn policy(raw: RawPolicy) -> Result<SitePolicy, Mistake> {
    let default = SitePolicy::default();
    let at_least_one = |path: &str, number: Option<u32>, default: u32| match number {
        Some(0) => Err(Mistake::value(path, "a number of at least 1", 0, "")),
        Some(number) => Ok(number),
        None => Ok(default),
    };
    let allowed = raw
        .allowed_layouts
        .map(|texts| texts.iter().map(|text| layout_digest(text)).collect::<Result<_, _>>());
    Ok(SitePolicy {
        min_cohort: at_least_one("policy.min_cohort", raw.min_cohort, default.min_cohort)?,
        max_local_epochs: at_least_one(
            "policy.max_local_epochs",
            raw.max_local_epochs,
            default.max_local_epochs,
        )?,
        max_model_bytes: raw
            .max_model
            .map_or(Ok(default.max_model_bytes), |size| parse_size("policy.max_model", &size))?,
        allowed_layouts: allowed.transpose()?,
        ..default
    })
}

fn secure_files(raw: RawSecureAggregation, folder: &Path) -> Result<SecureFiles, Mistake> {
    let min_cohort = raw.min_cohort.unwrap_or(3);
    if min_cohort < 3 {
        let hint = "of two updates each participant knows the other's from the sum";
        return Err(Mistake::value("secure_aggregation.min_cohort", "at least 3", min_cohort, hint));
    }
    let min_threshold = raw.min_threshold.unwrap_or(2);
    if min_threshold < 2 {
        let hint = "with a threshold of 1 any one participant could unmask";
        return Err(Mistake::value("secure_aggregation.min_threshold", "at least 2", min_threshold, hint));
    }
    let key = raw.coordinator_key.map(|text| {
        text.parse().map_err(|_| {
            let expected = "64 hexadecimal characters";
            let hint = "`federated-coordinator signing-key` prints them; agree on them out of band";
            Mistake::text("secure_aggregation.coordinator_key", expected, &text, hint)
        })
    });
    let coordinator_key = key.transpose()?;
    if raw.require_signed_result && coordinator_key.is_none() {
        let (key, expected) =
            ("secure_aggregation.coordinator_key", "a key, since require_signed_result is true");
        return Err(Mistake::value(key, expected, "none", "results cannot be checked without it"));
    }
    Ok(SecureFiles {
        coordinator_key,
        require_signed_result: raw.require_signed_result,
        signing_key: folder.join(raw.signing_key),
        pinned_roster: folder.join(raw.pinned_roster),
        min_cohort,
        min_threshold,
    })
}

fn layout_digest(text: &str) -> Result<Digest, Mistake> {
    text.parse().map_err(|_| {
        let expected = "digests of layouts, 64 hexadecimal characters each";
        let hint = "a declined task's message tells the digest of its layout";
        Mistake::text("policy.allowed_layouts", expected, text, hint)
    })
}

#[cfg(test)]
mod tests {
    use federated_core::fault::Fault;

    use super::*;
    use crate::config::LogFormat;

    const FILE: &str = r#"
        name = "cleveland"
        coordinator = "https://coordinator.example:8443"
        device = "cuda:0"
        state = "/var/lib/federated"
        [tls]
        ca = "ca.pem"
        certificate = "participant.pem"
        key = "/etc/federated/participant.key"
        [data]
        csv = "train.csv"
        label = "sick"
        [policy]
        min_cohort = 3
        max_local_epochs = 5
        max_model = "64MiB"
        allowed_layouts = ["0101010101010101010101010101010101010101010101010101010101010101"]
        [log]
        format = "json"
        level = "info,rustls=debug"
    "#;

    fn parse(text: &str) -> Result<ParticipantConfig, ConfigError> {
        ParticipantConfig::parse(text, Path::new("/srv/site/participant.toml"))
    }

    #[test]
    fn a_file_becomes_checked_values_and_relative_paths_start_at_its_folder() {
        let config = parse(FILE).unwrap();
        assert_eq!(config.name.as_str(), "cleveland");
        assert_eq!(config.device, Device::Cuda { index: 0 });
        assert_eq!(config.state, Path::new("/var/lib/federated"));
        assert_eq!(config.tls.certificate, Path::new("/srv/site/participant.pem"));
        assert_eq!(config.tls.key, Path::new("/etc/federated/participant.key"));
        assert_eq!(config.data.unwrap().csv, Path::new("/srv/site/train.csv"));
        assert_eq!(config.policy.min_cohort, 3);
        assert_eq!(config.policy.max_model_bytes, 64 << 20);
        assert!(config.policy.allowed_layouts.unwrap().contains(&Digest::from([1; 32])));
        assert_eq!(config.log.format, LogFormat::Json);
    }

    #[test]
    fn what_is_left_out_has_the_defaults_of_a_bundle() {
        let text = "name = \"a\"\ncoordinator = \"https://a:1\"\n\
                    tls = { ca = \"ca.pem\", certificate = \"participant.pem\", key = \"participant.key\" }";
        let bundle = ParticipantConfig::new(
            "a".parse().unwrap(),
            "https://a:1".parse().unwrap(),
            Path::new("/srv/site"),
        );
        assert_eq!(parse(text).unwrap(), bundle);
    }

    #[test]
    fn each_mistake_names_the_file_the_key_and_what_was_expected_and_found() {
        let cases = [
            ("\"cleveland\"", "\"Cleveland\"", "name: expected 1 to 63"),
            (
                "https://coord",
                "http://coord",
                "coordinator: expected `https://HOST:PORT`, found \"http://coordinator",
            ),
            ("\"cuda:0\"", "\"gpu\"", "device: expected \"auto\""),
            (
                "min_cohort = 3",
                "min_cohort = 0",
                "policy.min_cohort: expected a number of at least 1, found 0",
            ),
            ("\"64MiB\"", "\"big\"", "policy.max_model: expected a size such as \"64MiB\""),
            ("[\"0101", "[\"x101", "policy.allowed_layouts: expected digests"),
            ("\"json\"", "\"xml\"", "log.format: expected \"text\" or \"json\", found \"xml\""),
            ("\"info,rustls=debug\"", "\"loud\"", "log.level: expected \"error\""),
            ("label = \"sick\"", "label = \"\"", "data.label: expected the name of a column"),
            ("min_cohort", "min_cohorts", "unknown field `min_cohorts`"),
            ("ca = \"ca.pem\"", "", "missing field `ca`"),
        ];
        for (from, to, expected) in cases {
            assert!(FILE.contains(from), "{from}");
            let error = parse(&FILE.replacen(from, to, 1)).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("/srv/site/participant.toml: ") && text.contains(expected), "{text}");
            assert_eq!(error.fault(), Fault::Caller);
        }
    }

    #[test]
    fn results_can_be_required_only_where_they_can_be_checked() {
        let text = |more: &str| {
            let table = "[secure_aggregation]\nsigning_key = \"k\"\npinned_roster = \"r\"\n";
            parse(&FILE.replace("[log]", &format!("{table}{more}\n[log]")))
        };
        let key = "01".repeat(32);
        let config = text(&format!("coordinator_key = \"{key}\"\nrequire_signed_result = true")).unwrap();
        let files = config.secure_aggregation.unwrap();
        assert_eq!((files.coordinator_key, files.require_signed_result), (Some([1; 32].into()), true));
        assert!(!text("").unwrap().secure_aggregation.unwrap().require_signed_result);
        let error = text("require_signed_result = true").unwrap_err().to_string();
        assert!(error.contains("secure_aggregation.coordinator_key: expected a key"), "{error}");
        let error = text("coordinator_key = \"01\"").unwrap_err().to_string();
        assert!(error.contains("secure_aggregation.coordinator_key: expected 64 hex"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named_with_where_it_comes_from() {
        let error = ParticipantConfig::load("/nowhere/participant.toml").unwrap_err();
        assert!(error.to_string().contains("federated-coordinator enroll NAME"), "{error}");
        assert_eq!(error.fault(), Fault::Environment);
    }
}
