use std::time::Duration;

use serde::de::DeserializeOwned;

use super::ConfigError;

/// Parses TOML into a raw structure.
///
/// # Errors
/// [`ConfigError::Syntax`] with line and column.
pub fn parse_toml<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        ConfigError::Syntax { line, column, message: error.message().to_owned() }
    })
}

/// Parses a duration such as `"30s"`, `"10m"` or `"500ms"`.
///
/// # Errors
/// [`ConfigError::Value`] naming `path`.
pub fn parse_duration(path: &str, text: &str) -> Result<Duration, ConfigError> {
    humantime::parse_duration(text).map_err(|_| {
        ConfigError::value(path, "a duration such as \"30s\" or \"10m\"", format!("\"{text}\""), "")
    })
}

/// Parses a size in bytes such as `"64MiB"` or `"1GB"`.
///
/// # Errors
/// [`ConfigError::Value`] naming `path`.
pub fn parse_size(path: &str, text: &str) -> Result<u64, ConfigError> {
    text.parse::<bytesize::ByteSize>().map(|size| size.as_u64()).map_err(|_| {
        ConfigError::value(path, "a size such as \"64MiB\" or \"4GiB\"", format!("\"{text}\""), "")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(parse_duration("a", "1m 30s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_size("a", "64MiB").unwrap(), 64 << 20);
        let error = parse_duration("timeouts.deadline", "soon").unwrap_err().to_string();
        assert_eq!(
            error,
            "timeouts.deadline: expected a duration such as \"30s\" or \"10m\", found \"soon\""
        );
        assert!(parse_size("a", "big").is_err());
    }

    #[test]
    fn a_syntax_error_says_where() {
        let error = parse_toml::<std::collections::BTreeMap<String, u32>>("a = 1\nb = \"x\"\n").unwrap_err();
        assert!(matches!(error, ConfigError::Syntax { line: 2, column: 5, .. }), "{error}");
    }
}
