use std::{fmt, str::FromStr};

use super::ConfigError;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a new format must be dealt with where the log is set up")]
pub enum LogFormat {
    /// One line of text an event, for people.
    #[default]
    Text,
    /// One JSON object an event, for machines.
    Json,
}

/// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`, or `off`), with exceptions such as
/// `info,rustls=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// Parses the filter that stands at `path`: parts separated by commas, each `LEVEL` or `TARGET=LEVEL`.
    ///
    /// # Errors
    /// [`ConfigError::Value`] naming `path`.
    pub fn parse(path: &str, text: &str) -> Result<Self, ConfigError> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.iter().all(|part| names_a_level(part)) {
            // What reads the filter later does not skip the space after a comma.
            return Ok(Self(parts.join(",")));
        }
        let expected = "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"";
        let hint = "exceptions follow after a comma, such as \"info,rustls=debug\"";
        Err(ConfigError::text(path, expected, text, hint))
    }

    /// The filter as written, without spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a part says `LEVEL` or `TARGET=LEVEL`. A lone word that is no level would be taken for a target and switch
/// everything else off.
fn names_a_level(part: &str) -> bool {
    let (target, level) = part.split_once('=').map_or((None, part), |(target, level)| (Some(target), level));
    let is_level = ["off", "error", "warn", "info", "debug", "trace"]
        .iter()
        .any(|known| level.eq_ignore_ascii_case(known));
    is_level && target.is_none_or(is_target)
}

/// Whether a text can name a target: a module's path, for instance `federated_server::grpc`.
fn is_target(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.'))
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl FromStr for LogFilter {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::parse("level", text)
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is logged, and how: a file's `[log]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// How lines look. Text by default.
    pub format: LogFormat,
    /// What is logged unless the environment variable `RUST_LOG` says otherwise. `info` by default.
    pub level: LogFilter,
}

impl LogConfig {
    /// Checks the settings of the `[log]` table; one that is left out has its default.
    ///
    /// # Errors
    /// [`ConfigError::Value`] naming `log.format` or `log.level`.
    pub fn parse(format: Option<&str>, level: Option<&str>) -> Result<Self, ConfigError> {
        let format = match format {
            None => LogFormat::default(),
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                let hint = "text is for people, JSON for machines";
                return Err(ConfigError::text("log.format", "\"text\" or \"json\"", other, hint));
            }
        };
        let level = level.map(|text| LogFilter::parse("log.level", text)).transpose()?;
        Ok(Self { format, level: level.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(LogConfig::parse(None, None).unwrap(), LogConfig::default());
        assert_eq!(LogConfig::default().level, "info".parse().unwrap());
        let json = LogConfig::parse(Some("json"), Some("warn")).unwrap();
        assert_eq!((json.format, json.level.as_str()), (LogFormat::Json, "warn"));
        assert_eq!(LogConfig::parse(Some("text"), None).unwrap().format, LogFormat::Text);
    }

    #[test]
    fn a_filter_is_levels_with_exceptions() {
        for good in ["off", "INFO", "info,rustls=debug", "warn,federated_server::grpc=trace,h2=off"] {
            assert_eq!(good.parse::<LogFilter>().unwrap().to_string(), good);
        }
        assert_eq!(" info, rustls=debug ".parse::<LogFilter>().unwrap().as_str(), "info,rustls=debug");
        for bad in [
            "",
            "loud",
            "info,",
            "rustls",
            "info,rustls",
            "rustls=loud",
            "=info",
            "a b=info",
            "a=b=info",
            "[a]=info",
        ] {
            assert!(bad.parse::<LogFilter>().is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn a_refusal_names_the_key_what_was_expected_and_found() {
        let error = LogConfig::parse(Some("xml"), None).unwrap_err().to_string();
        assert!(error.starts_with("log.format: expected \"text\" or \"json\", found \"xml\""), "{error}");
        let error = LogConfig::parse(None, Some("loud")).unwrap_err().to_string();
        assert!(error.starts_with("log.level: expected \"error\", "), "{error}");
        assert!(
            error
                .ends_with("found \"loud\" (exceptions follow after a comma, such as \"info,rustls=debug\")")
        );
    }
}
