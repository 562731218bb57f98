//! The file as written: texts and numbers, every setting optional, nothing unknown.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) listen: Option<String>,
    pub(super) state: Option<PathBuf>,
    pub(super) enrolled: Option<PathBuf>,
    pub(super) signing_key: Option<PathBuf>,
    pub(super) journal: RawJournal,
    pub(super) spool: RawSpool,
    pub(super) jobs: RawJobs,
    pub(super) tls: RawTls,
    pub(super) limits: RawLimits,
    pub(super) log: RawLog,
    pub(super) operator: RawOperator,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawJournal {
    pub(super) url: Option<String>,
    pub(super) lease: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawJobs {
    pub(super) active: Option<u64>,
    pub(super) keep: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSpool {
    pub(super) url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTls {
    pub(super) ca: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLimits {
    pub(super) max_model: Option<String>,
    pub(super) chunk: Option<String>,
    pub(super) max_connections: Option<u64>,
    pub(super) max_uploads: Option<u64>,
    pub(super) upload_window: Option<String>,
    pub(super) upload_memory: Option<String>,
    pub(super) handshake: Option<String>,
    pub(super) stall: Option<String>,
    pub(super) min_upload_rate: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLog {
    pub(super) format: Option<String>,
    pub(super) level: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOperator {
    pub(super) address: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}
