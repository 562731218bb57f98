//! The file as written: texts and numbers, every setting optional, nothing unknown.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::ConfigError;

/// A configuration file's content, with the file it came from.
pub(super) struct RawFile {
    pub(super) file: PathBuf,
    pub(super) config: RawConfig,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) listen: Option<String>,
    pub(super) state: Option<PathBuf>,
    pub(super) enrolled: Option<PathBuf>,
    pub(super) tls: RawTls,
    pub(super) limits: RawLimits,
    pub(super) log: RawLog,
    pub(super) operator: RawOperator,
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

/// Parses the text of `file`.
pub(super) fn parse(text: &str, file: &Path) -> Result<RawFile, ConfigError> {
    let line_of = |error: &toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1
    };
    let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        file: file.to_owned(),
        line: line_of(&error),
        detail: error.message().to_owned(),
    })?;
    let config = toml::from_str(text).map_err(|error| ConfigError::Shape {
        file: file.to_owned(),
        line: line_of(&error),
        path: error.span().map_or_else(String::new, |span| path_at(document.get_ref(), span.start)),
        detail: error.message().to_owned(),
    })?;
    Ok(RawFile { file: file.to_owned(), config })
}

/// The dotted path of the setting whose key or value covers the byte `position`.
fn path_at(table: &DeTable<'_>, position: usize) -> String {
    let covers = |span: std::ops::Range<usize>| span.contains(&position);
    for (key, value) in table {
        if let DeValue::Table(inner) = value.get_ref() {
            let rest = path_at(inner, position);
            if !rest.is_empty() {
                return format!("{}.{rest}", key.get_ref());
            }
        }
        if covers(key.span()) || covers(value.span()) {
            return key.get_ref().to_string();
        }
    }
    String::new()
}
