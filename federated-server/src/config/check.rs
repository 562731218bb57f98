//! From the file as written to checked values: the only place where defaults, ranges and units meet.

use std::{
    fmt::Display,
    num::{NonZeroU64, NonZeroUsize},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use bytesize::ByteSize;

use super::{
    ChunkSize, ConfigError, CoordinatorConfig, Limits, LogConfig, LogFormat, OperatorConfig, TlsFiles,
    error::cut,
    raw::{RawFile, RawLimits, RawLog},
};

const SIZE_HINT: &str = "Write a size as text with a unit, such as \"64MiB\" or \"1GiB\".";
const DURATION_HINT: &str = "Write a duration as text with a unit, such as \"30s\" or \"500ms\".";
const COUNT_HINT: &str = "Write a whole number without quotes.";

impl TryFrom<RawFile> for CoordinatorConfig {
    type Error = ConfigError;

    fn try_from(raw: RawFile) -> Result<Self, ConfigError> {
        let RawFile { file, config: raw } = raw;
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let check = Check { file: &file };
        let defaults = Self::defaults_in(&folder);
        let path = |written: Option<PathBuf>, default| written.map_or(default, |path| folder.join(path));
        let listen = check.text(
            "listen",
            raw.listen,
            "an IP address with a port",
            "Such as \"0.0.0.0:8443\" for all of this machine's addresses.",
        )?;
        let address = check.text(
            "operator.address",
            raw.operator.address,
            "`https://HOST:PORT`",
            "The host must be one that the coordinator's certificate names.",
        )?;
        let operator = defaults.operator;
        Ok(Self {
            listen: listen.unwrap_or(defaults.listen),
            state: path(raw.state, defaults.state),
            enrolled: path(raw.enrolled, defaults.enrolled),
            tls: TlsFiles {
                ca: path(raw.tls.ca, defaults.tls.ca),
                certificate: path(raw.tls.certificate, defaults.tls.certificate),
                key: path(raw.tls.key, defaults.tls.key),
            },
            limits: check.limits(raw.limits)?,
            log: check.log(raw.log)?,
            operator: OperatorConfig {
                address: address.unwrap_or(operator.address),
                tls: TlsFiles {
                    ca: path(raw.operator.ca, operator.tls.ca),
                    certificate: path(raw.operator.certificate, operator.tls.certificate),
                    key: path(raw.operator.key, operator.tls.key),
                },
            },
        })
    }
}

/// Reads settings of one file; each method gives the default for a setting that is not there.
struct Check<'a> {
    file: &'a Path,
}

impl Check<'_> {
    fn limits(&self, raw: RawLimits) -> Result<Limits, ConfigError> {
        let default = Limits::default();
        let milliseconds = Duration::from_millis;
        let chunk_range = ChunkSize::MIN.bytes() as u64..=ChunkSize::MAX.bytes() as u64;
        let chunk = self.size("limits.chunk", raw.chunk, chunk_range)?;
        let handshake = milliseconds(100)..=Duration::from_secs(600);
        let stall = milliseconds(100)..=Duration::from_secs(3600);
        let max_model = self.size("limits.max_model", raw.max_model, 1 << 10..=1 << 40)?;
        let rate = self.size("limits.min_upload_rate", raw.min_upload_rate, 1..=1 << 30)?;
        Ok(Limits {
            max_model: max_model.and_then(NonZeroU64::new).unwrap_or(default.max_model),
            chunk: chunk
                .and_then(|bytes| usize::try_from(bytes).ok())
                .and_then(ChunkSize::new)
                .unwrap_or(default.chunk),
            max_connections: self
                .count("limits.max_connections", raw.max_connections, 1..=1_000_000)?
                .unwrap_or(default.max_connections),
            max_uploads: self
                .count("limits.max_uploads", raw.max_uploads, 1..=65_536)?
                .unwrap_or(default.max_uploads),
            handshake: self
                .duration("limits.handshake", raw.handshake, handshake)?
                .unwrap_or(default.handshake),
            stall: self.duration("limits.stall", raw.stall, stall)?.unwrap_or(default.stall),
            min_upload_rate: rate.and_then(NonZeroU64::new).unwrap_or(default.min_upload_rate),
        })
    }

    fn log(&self, raw: RawLog) -> Result<LogConfig, ConfigError> {
        let format = match raw.format.as_deref() {
            None => LogFormat::default(),
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                return Err(self.refused("log.format", "`text` or `json`", &other, "Text is for people."));
            }
        };
        let level = self.text(
            "log.level",
            raw.level,
            "a level: `error`, `warn`, `info`, `debug` or `trace`",
            "Exceptions follow after a comma, such as \"info,rustls=debug\".",
        )?;
        Ok(LogConfig { format, level: level.unwrap_or_default() })
    }

    fn text<T: FromStr>(
        &self,
        path: &'static str,
        found: Option<String>,
        expected: &str,
        hint: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        found.map(|text| text.parse().map_err(|_| self.refused(path, expected, &text, hint))).transpose()
    }

    fn size(
        &self,
        path: &'static str,
        found: Option<String>,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, ConfigError> {
        let Some(text) = found else { return Ok(None) };
        let size =
            text.parse::<ByteSize>().ok().map(|size| size.as_u64()).filter(|size| range.contains(size));
        let (start, end) = (written(*range.start()), written(*range.end()));
        size.map(Some)
            .ok_or_else(|| self.refused(path, &format!("a size from {start} to {end}"), &text, SIZE_HINT))
    }

    fn duration(
        &self,
        path: &'static str,
        found: Option<String>,
        range: RangeInclusive<Duration>,
    ) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = found else { return Ok(None) };
        let duration = humantime::parse_duration(&text).ok().filter(|duration| range.contains(duration));
        let written = humantime::format_duration;
        let (start, end) = (written(*range.start()), written(*range.end()));
        duration.map(Some).ok_or_else(|| {
            self.refused(path, &format!("a duration from {start} to {end}"), &text, DURATION_HINT)
        })
    }

    fn count(
        &self,
        path: &'static str,
        found: Option<u64>,
        range: RangeInclusive<u64>,
    ) -> Result<Option<NonZeroUsize>, ConfigError> {
        let Some(number) = found else { return Ok(None) };
        let count =
            usize::try_from(number).ok().filter(|_| range.contains(&number)).and_then(NonZeroUsize::new);
        let (start, end) = (range.start(), range.end());
        count.map(Some).ok_or_else(|| {
            self.refused(path, &format!("a number from {start} to {end}"), &number, COUNT_HINT)
        })
    }

    fn refused(
        &self,
        path: &'static str,
        expected: &str,
        found: &dyn Display,
        hint: &'static str,
    ) -> ConfigError {
        let (expected, found) = (expected.to_owned(), cut(&found.to_string()));
        ConfigError::Value { file: self.file.to_owned(), path, expected, found, hint }
    }
}

/// A size as one writes it in the file, exact: in the largest unit that divides it.
fn written(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let (factor, unit) =
        units.into_iter().find(|(factor, _)| bytes.is_multiple_of(*factor)).unwrap_or((1, "B"));
    format!("{}{unit}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use federated_core::fault::Fault;

    use super::*;

    fn parse(text: &str) -> Result<CoordinatorConfig, ConfigError> {
        CoordinatorConfig::parse(text, Path::new("/srv/federated/coordinator.toml"))
    }

    fn refusal(text: &str) -> String {
        let error = parse(text).unwrap_err();
        assert_eq!(error.fault(), Fault::Caller);
        error.to_string()
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(parse("").unwrap(), CoordinatorConfig::defaults_in(Path::new("/srv/federated")));
    }

    #[test]
    fn settings_replace_the_defaults_and_relative_paths_start_at_the_file_s_folder() {
        let config = parse(
            r#"
            listen = "127.0.0.1:0"
            state = "/var/lib/federated"
            enrolled = "sites"
            [limits]
            max_model = "100 MB"
            chunk = "256KiB"
            max_uploads = 3
            stall = "1m 30s"
            [log]
            format = "json"
            level = "info,rustls=debug"
            [operator]
            address = "https://10.0.0.1:9000"
            "#,
        )
        .unwrap();
        assert_eq!(config.listen.port(), 0);
        assert_eq!(config.state, Path::new("/var/lib/federated"));
        assert_eq!(config.enrolled, Path::new("/srv/federated/sites"));
        assert_eq!(config.tls.certificate, Path::new("/srv/federated/server/server.pem"));
        assert_eq!(config.limits.max_model.get(), 100_000_000);
        assert_eq!(config.limits.chunk.bytes(), 256 << 10);
        assert_eq!(config.limits.max_uploads.get(), 3);
        assert_eq!(config.limits.stall, Duration::from_secs(90));
        assert_eq!(config.log.format, LogFormat::Json);
        assert_eq!(config.operator.address.host(), "10.0.0.1");
    }

    #[test]
    fn a_refusal_names_file_path_expected_found_and_a_hint() {
        let text = refusal("[limits]\nchunk = \"4MiB\"");
        for part in
            ["/srv/federated/coordinator.toml", "`limits.chunk`", "64KiB to 4032KiB", "`4MiB`", "unit"]
        {
            assert!(text.contains(part), "{part} is missing from: {text}");
        }
        for (setting, path) in [
            ("listen = \"localhost\"", "listen"),
            ("[limits]\nmax_model = \"big\"", "limits.max_model"),
            ("[limits]\nmax_connections = 0", "limits.max_connections"),
            ("[limits]\nhandshake = \"10\"", "limits.handshake"),
            ("[limits]\nstall = \"0s\"", "limits.stall"),
            ("[limits]\nmin_upload_rate = \"0B\"", "limits.min_upload_rate"),
            ("[log]\nformat = \"xml\"", "log.format"),
            ("[log]\nlevel = \"loud\"", "log.level"),
            ("[operator]\naddress = \"http://a:1\"", "operator.address"),
        ] {
            let text = refusal(setting);
            assert!(text.contains(&format!("`{path}`: expected ")), "{text}");
        }
    }

    #[test]
    fn an_unknown_setting_or_a_wrong_type_is_refused_with_path_and_line() {
        let text = refusal("[limits]\n\nchunks = \"1MiB\"");
        assert!(
            text.contains("line 3: `limits.chunks`: unknown field") && text.contains("`chunk`"),
            "{text}"
        );
        let text = refusal("[limits]\nchunk = 1048576");
        assert!(text.contains("line 2: `limits.chunk`") && text.contains("expected a string"), "{text}");
        let text = refusal("\n[network]\nport = 1");
        assert!(text.contains("line 2: `network`: unknown field"), "{text}");
        let text = refusal("listen = ");
        assert!(text.contains("line 1: not TOML"), "{text}");
    }
}
