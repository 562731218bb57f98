use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use super::Finding;
use crate::{
    config::ParticipantConfig,
    state::{StateError, StateFolder},
    transport::{self, SiteCertificate, SiteIdentity},
};

/// A certificate that ends sooner is worth a warning.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const CLOCK: &str = "check this machine's clock";

pub(super) fn check(config: &ParticipantConfig, now: SystemTime) -> Vec<Finding> {
    let tls = &config.tls;
    let renew_authority = "ask the operator for a new bundle".to_owned();
    let renew = format!("ask the operator to run `federated-coordinator enroll {}`", config.name);
    let mut findings = vec![
        certificate("tls.ca", &tls.ca, now, &renew_authority),
        certificate("tls.certificate", &tls.certificate, now, &renew),
    ];
    match transport::private_key(&tls.key) {
        Ok(_) => findings.push(key_file("tls.key", &tls.key)),
        Err(error) => findings.push(Finding::error("tls.key", &error)),
    }
    // Each file has been told about; this tells whether they belong together.
    if findings.iter().all(|finding| finding.remedy.is_none()) || all_readable(config) {
        findings.push(match SiteIdentity::load(tls, &config.name) {
            Ok(identity) => Finding::ok("name", format!("the certificate is that of `{}`", identity.name())),
            Err(error) => Finding::error(error.key(), &error),
        });
    }
    findings.push(state_folder(&config.state));
    findings
}

fn all_readable(config: &ParticipantConfig) -> bool {
    transport::read_certificates("tls.ca", &config.tls.ca).is_ok()
        && transport::read_certificates("tls.certificate", &config.tls.certificate).is_ok()
        && transport::private_key(&config.tls.key).is_ok()
}

fn certificate(name: &'static str, path: &Path, now: SystemTime, renew: &str) -> Finding {
    match transport::read_certificates(name, path) {
        Err(error) => Finding::error(name, &error),
        Ok(chain) => {
            let mut findings: Vec<_> =
                chain.iter().map(|certificate| dates(name, certificate, now, renew)).collect();
            findings.sort_by_key(|finding| finding.verdict);
            // At least one certificate was read.
            findings.pop().unwrap_or_else(|| Finding::problem(name, "no certificate", renew))
        }
    }
}

fn dates(name: &'static str, certificate: &SiteCertificate, now: SystemTime, renew: &str) -> Finding {
    let date = humantime::format_rfc3339_seconds;
    let (start, end) = (certificate.not_before, certificate.not_after);
    if now > end {
        return Finding::problem(name, format!("it expired on {}", date(end)), renew);
    }
    if now < start {
        let detail = format!("it is not valid before {}", date(start));
        return Finding::problem(name, detail, format!("{CLOCK}, or wait"));
    }
    if end.duration_since(now).is_ok_and(|left| left < SOON) {
        return Finding::warning(name, format!("it expires on {}", date(end)), renew);
    }
    Finding::ok(name, format!("valid until {}", date(end)))
}

/// Who may read a key that is good.
#[cfg(unix)]
pub(super) fn key_file(name: &'static str, path: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o077 == 0 {
        return Finding::ok(name, format!("{}, readable for its owner only", path.display()));
    }
    let detail = format!("{} is open to others on this machine (mode {mode:o})", path.display());
    Finding::warning(name, detail, format!("chmod 600 {}", path.display()))
}

#[cfg(not(unix))]
pub(super) fn key_file(name: &'static str, path: &Path) -> Finding {
    Finding::ok(name, path.display().to_string())
}

fn state_folder(path: &Path) -> Finding {
    match StateFolder::open(path) {
        Ok(_) => Finding::ok("state", format!("{} is writable", path.display())),
        Err(StateError::InUse { .. }) => {
            let detail = format!("a participant runs with {}", path.display());
            Finding::warning("state", detail, "stop it before starting another")
        }
        Err(error) => Finding::error("state", &error),
    }
}
