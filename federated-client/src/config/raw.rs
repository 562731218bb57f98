//! The file as written: texts and numbers, nothing unknown.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawParticipant {
    pub(super) name: String,
    pub(super) coordinator: String,
    pub(super) device: Option<String>,
    pub(super) state: Option<PathBuf>,
    pub(super) tls: RawTls,
    pub(super) data: Option<RawTable>,
    #[serde(default)]
    pub(super) policy: RawPolicy,
    pub(super) secure_aggregation: Option<RawSecureAggregation>,
    pub(super) privacy: Option<RawPrivacy>,
    #[serde(default)]
    pub(super) log: RawLog,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecureAggregation {
    pub(super) signing_key: PathBuf,
    pub(super) pinned_roster: PathBuf,
    pub(super) min_cohort: Option<u32>,
    pub(super) min_threshold: Option<u8>,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) coordinator_key: Option<String>,
    #[serde(default)]
    pub(super) require_signed_result: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrivacy {
    pub(super) epsilon: f64,
    pub(super) delta: f64,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) folder: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) ca: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTable {
    pub(super) csv: PathBuf,
    pub(super) label: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPolicy {
    pub(super) min_cohort: Option<u32>,
    pub(super) max_local_epochs: Option<u32>,
    pub(super) max_model: Option<String>,
    pub(super) allowed_layouts: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) format: Option<String>,
    pub(super) level: Option<String>,
}
