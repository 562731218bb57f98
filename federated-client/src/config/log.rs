use federated_core::config::ConfigError;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// One line of text an event, for people.
    #[default]
    Text,
    /// One JSON object an event, for machines.
    Json,
}

/// What is logged, and how. The log goes to standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// How lines look. Text by default.
    pub format: LogFormat,
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), with exceptions such as `info,rustls=debug`. `info` by
    /// default. The environment variable `RUST_LOG` replaces it.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".to_owned() }
    }
}

impl LogConfig {
    /// Checks the settings of the `[log]` table.
    pub(super) fn parse(format: Option<&str>, level: Option<String>) -> Result<Self, ConfigError> {
        let format = match format {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                let found = format!("\"{other}\"");
                return Err(ConfigError::value("log.format", "\"text\" or \"json\"", found, ""));
            }
        };
        let level = level.unwrap_or_else(|| Self::default().level);
        if !is_filter(&level) {
            let hint = "exceptions follow after a comma, such as \"info,rustls=debug\"";
            let expected = "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"";
            return Err(ConfigError::value("log.level", expected, format!("\"{level}\""), hint));
        }
        Ok(Self { format, level })
    }
}

/// Whether every part names a level: a lone word that is no level would be taken for a module's name and switch
/// everything else off.
fn is_filter(text: &str) -> bool {
    let names_a_level = |part: &str| {
        let level = part.trim().rsplit('=').next().unwrap_or_default().to_ascii_lowercase();
        ["off", "error", "warn", "info", "debug", "trace"].contains(&level.as_str())
    };
    EnvFilter::try_new(text).is_ok() && text.split(',').all(names_a_level)
}
