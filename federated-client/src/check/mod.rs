//! Whether a participant will work: every part tried before a job needs it.
//!
//! [`check`] gives one [`Finding`] for each thing looked at. `files` looks at certificates, key and state folder, `secure` at
//! key, roster and floors of secure aggregation, `privacy` at what is spent of the site's budget, `coordinator` connects as a participant does, `local` reads the table and
//! tries the device.

mod coordinator;
mod files;
mod finding;
mod local;
mod privacy;
mod secure;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

pub use finding::{Finding, Verdict};

use crate::config::ParticipantConfig;

/// Looks at everything that a participant needs. `now` is the moment at which certificates must be valid.
///
/// It reaches out to the coordinator, which sees a short visit; a participant that runs meanwhile is not disturbed.
/// It must run on a Tokio runtime with I/O and time enabled.
pub async fn check(config: &ParticipantConfig, now: SystemTime) -> Vec<Finding> {
    let mut findings = files::check(config, now);
    findings.extend(secure::check(config));
    findings.extend(privacy::check(config).await);
    findings.extend(coordinator::check(config).await);
    findings.extend(local::check(config).await);
    findings.extend(results(config));
    findings
}

/// Whether what the coordinator signs will be checked.
fn results(config: &ParticipantConfig) -> Option<Finding> {
    let secure = config.secure_aggregation.as_ref()?;
    let name = "secure_aggregation.coordinator_key";
    Some(match (&secure.coordinator_key, secure.require_signed_result) {
        (None, _) => Finding::ok(name, "none: results are kept, and their signatures are not checked"),
        (Some(key), false) => Finding::ok(name, format!("results are checked with {key}")),
        (Some(key), true) => Finding::ok(name, format!("results are checked with {key}, and required")),
    })
}
