use std::{
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result};
use federated_client::signing::make_key;
use federated_server::{
    config::{CoordinatorConfig, OperatorConfig, TlsFiles},
    identity::setup::{EnrollOptions, InitOptions, enroll, init},
};
use tempfile::TempDir;

/// Days that the throw-away certificates are valid.
const DAYS: u32 = 1;
/// More bytes than any model here has: 1 TiB.
pub(crate) const NO_LIMIT: NonZeroU64 = NonZeroU64::MIN.saturating_add((1 << 40) - 1);

/// The temporary folder of one federation or floor: an authority, certificates, states and logs. It goes with this value.
#[derive(Debug)]
pub(crate) struct RunFolder {
    folder: TempDir,
    config: CoordinatorConfig,
}

impl RunFolder {
    /// Makes the folder, in `dir` or where the system has temporary files, with an authority and the certificates of
    /// a coordinator and its operator.
    pub(crate) fn make(dir: Option<&Path>) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("federated-roundtrip-");
        let folder = match dir {
            Some(dir) => builder.tempdir_in(dir).with_context(|| format!("--dir {}", dir.display()))?,
            None => builder.tempdir().context("a temporary folder")?,
        };
        let options = InitOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            days: DAYS,
            ..InitOptions::new(folder.path().join("coordinator"))
        };
        let config = init(&options, SystemTime::now())?;
        Ok(Self { folder, config })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The coordinator's own folder.
    pub(crate) fn coordinator(&self) -> PathBuf {
        self.path().join("coordinator")
    }

    /// The operator of a coordinator that listens at `address`, an IP address with a port.
    pub(crate) fn operator(&self, address: &str) -> Result<OperatorConfig> {
        let address = format!("https://{address}").parse()?;
        Ok(OperatorConfig { address, ..self.config.operator.clone() })
    }

    /// Gives each of these participants a long-lived key, and the roster of all.
    pub(crate) fn sign_up(&self, count: u32) -> Result<()> {
        let mut roster = String::new();
        for number in 0..count {
            let public = make_key(&signing_key(self.path(), number))?;
            roster.push_str(&format!("participant-{number} {public}\n"));
        }
        Ok(fs::write(roster_file(self.path()), roster)?)
    }

    /// Makes the bundles of participants 0 to `count` - 1 of a coordinator that listens at `address`.
    pub(crate) fn enroll(&self, count: u32, address: &str) -> Result<()> {
        for number in 0..count {
            let options = EnrollOptions {
                out: Some(bundle(self.path(), number)),
                address: Some(format!("https://{address}").parse()?),
                days: DAYS,
                ..EnrollOptions::new(self.coordinator(), format!("participant-{number}").parse()?)
            };
            enroll(&options, SystemTime::now())?;
        }
        Ok(())
    }
}

/// Where the bundle of a participant is.
pub(crate) fn bundle(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("participant-{number}"))
}

/// Where a participant's long-lived key is, if it has one.
pub(crate) fn signing_key(folder: &Path, number: u32) -> PathBuf {
    bundle(folder, number).join("signing.key")
}

/// Where everyone's public keys are.
pub(crate) fn roster_file(folder: &Path) -> PathBuf {
    folder.join("roster")
}

/// The TLS files of a bundle.
pub(crate) fn bundle_tls(folder: &Path, number: u32) -> TlsFiles {
    let file = |name: &str| bundle(folder, number).join(name);
    TlsFiles { ca: file("ca.pem"), certificate: file("participant.pem"), key: file("participant.key") }
}
