use std::{ops::Range, time::Duration};

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;

/// Parses TOML into a raw structure.
///
/// # Errors
/// [`ConfigError::Syntax`] with line, column and key.
pub fn parse_toml<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let span = error.span().unwrap_or_default();
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        let path =
            DeTable::parse(text).map_or_else(|_| String::new(), |table| path_at(table.get_ref(), &span));
        ConfigError::Syntax { line, column, path, message: error.message().to_owned() }
    })
}

/// The dotted path of the innermost key or value that holds all of `span`; empty if only the whole text does.
fn path_at(table: &DeTable<'_>, span: &Range<usize>) -> String {
    let holds = |outer: Range<usize>| !span.is_empty() && outer.start <= span.start && span.end <= outer.end;
    for (key, value) in table {
        if let DeValue::Table(inner) = value.get_ref() {
            let rest = path_at(inner, span);
            if !rest.is_empty() {
                return format!("{}.{rest}", key.get_ref());
            }
        }
        if holds(key.span()) || holds(value.span()) {
            return key.get_ref().to_string();
        }
    }
    String::new()
}

/// Parses a duration such as `"30s"`, `"10m"` or `"500ms"`.
///
/// # Errors
/// [`ConfigError::Value`] naming `path`.
pub fn parse_duration(path: &str, text: &str) -> Result<Duration, ConfigError> {
    humantime::parse_duration(text)
        .map_err(|_| ConfigError::text(path, "a duration such as \"30s\" or \"10m\"", text, ""))
}

/// Parses a size in bytes such as `"64MiB"` or `"1GB"`.
///
/// # Errors
/// [`ConfigError::Value`] naming `path`.
pub fn parse_size(path: &str, text: &str) -> Result<u64, ConfigError> {
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| ConfigError::text(path, "a size such as \"64MiB\" or \"4GiB\"", text, ""))
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

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "inner")]
        _inner: Inner,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "count")]
        _count: u32,
    }

    #[test]
    fn a_syntax_error_names_the_key_it_belongs_to() {
        let cases = [
            ("[inner]\n\ncounts = 1", "line 3, column 1: inner.counts: unknown field `counts`"),
            ("[inner]\ncount = \"x\"", "line 2, column 9: inner.count: invalid type: string"),
            ("inner = { count = [1] }", "line 1, column 19: inner.count: invalid type: sequence"),
            ("[inner]\n", "line 1, column 1: inner: missing field `count`"),
            ("inner = {}", "line 1, column 9: inner: missing field `count`"),
            ("inner.count = -1", "line 1, column 15: inner.count: invalid value: integer `-1`"),
            ("\n[outer]\ncount = 1", "line 2, column 2: outer: unknown field `outer`"),
            ("", "line 1, column 1: missing field `inner`"),
            ("# empty\n", "line 1, column 1: missing field `inner`"),
        ];
        for (text, expected) in cases {
            let error = parse_toml::<Outer>(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        let error = parse_toml::<Outer>("inner = ").unwrap_err();
        assert!(matches!(&error, ConfigError::Syntax { line: 1, path, .. } if path.is_empty()), "{error}");
    }

    #[test]
    fn a_text_nested_without_end_is_refused() {
        let keys = "a.".repeat(100_000);
        for text in [format!("{keys}a = 1"), format!("[{keys}a]"), format!("a = {}", "[".repeat(100_000))] {
            assert!(parse_toml::<Outer>(&text).is_err());
        }
    }
}
