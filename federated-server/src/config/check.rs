//! From the file as written to checked values: the only place where defaults, ranges and units meet.

use std::{
    net::SocketAddr,
    num::{NonZeroU64, NonZeroUsize},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use federated_core::config::ConfigError as Mistake;

use super::{
    ChunkSize, CoordinatorAddress, CoordinatorConfig, JobsConfig, JournalConfig, Limits, LogConfig,
    OperatorConfig, SpoolConfig, TlsFiles, UploadWindow,
    raw::{RawConfig, RawJobs, RawJournal, RawLimits},
};

const SIZE_HINT: &str = "write a size as text with a unit, such as \"64MiB\" or \"1GiB\"";
const DURATION_HINT: &str = "write a duration as text with a unit, such as \"30s\" or \"500ms\"";

/// Checks the settings of a file in `folder`; one that is left out has its default.
pub(super) fn check(raw: RawConfig, folder: &Path) -> Result<CoordinatorConfig, Mistake> {
    let defaults = CoordinatorConfig::defaults_in(folder);
    let path = |written: Option<PathBuf>, default| written.map_or(default, |path| folder.join(path));
    let operator = defaults.operator;
    let address = raw.operator.address.map(|text| CoordinatorAddress::parse("operator.address", &text));
    Ok(CoordinatorConfig {
        listen: raw.listen.map_or(Ok(defaults.listen), |text| listen(&text))?,
        state: path(raw.state, defaults.state),
        journal: journal(raw.journal)?,
        spool: raw.spool.url.map_or(Ok(defaults.spool), |url| SpoolConfig::parse(&url))?,
        enrolled: path(raw.enrolled, defaults.enrolled),
        signing_key: raw.signing_key.map(|key| folder.join(key)),
        tls: TlsFiles {
            ca: path(raw.tls.ca, defaults.tls.ca),
            certificate: path(raw.tls.certificate, defaults.tls.certificate),
            key: path(raw.tls.key, defaults.tls.key),
        },
        jobs: jobs(raw.jobs)?,
        limits: limits(raw.limits)?,
        log: LogConfig::parse(raw.log.format.as_deref(), raw.log.level.as_deref())?,
        operator: OperatorConfig {
            address: address.transpose()?.unwrap_or(operator.address),
            tls: TlsFiles {
                ca: path(raw.operator.ca, operator.tls.ca),
                certificate: path(raw.operator.certificate, operator.tls.certificate),
                key: path(raw.operator.key, operator.tls.key),
            },
        },
    })
}

fn listen(text: &str) -> Result<SocketAddr, Mistake> {
    text.parse().map_err(|_| {
        let hint = "such as \"0.0.0.0:8443\" for all of this machine's addresses";
        Mistake::text("listen", "an IP address with a port", text, hint)
    })
}

fn journal(raw: RawJournal) -> Result<JournalConfig, Mistake> {
    let range = Duration::from_millis(500)..=Duration::from_secs(600);
    let lease = duration("journal.lease", raw.lease, range)?;
    match raw.url {
        Some(url) => JournalConfig::parse(&url, lease.unwrap_or(JournalConfig::LEASE)),
        None if lease.is_some() => {
            let hint =
                "a journal in the state folder has one coordinator, and no lease: leave journal.lease out";
            Err(Mistake::text("journal.url", "an address, since there is a journal.lease", "none", hint))
        }
        None => Ok(JournalConfig::State),
    }
}

fn jobs(raw: RawJobs) -> Result<JobsConfig, Mistake> {
    const DAY: Duration = Duration::from_secs(86_400);
    let active = count("jobs.active", raw.active, 1..=1_000)?;
    let keep = duration("jobs.keep", raw.keep, Duration::from_secs(60)..=36_500 * DAY)?;
    Ok(JobsConfig { active: active.unwrap_or(JobsConfig::default().active), keep })
}

fn limits(raw: RawLimits) -> Result<Limits, Mistake> {
    let default = Limits::default();
    let milliseconds = Duration::from_millis;
    let chunk_range = ChunkSize::MIN.bytes() as u64..=ChunkSize::MAX.bytes() as u64;
    let chunk = size("limits.chunk", raw.chunk, chunk_range)?;
    let handshake = milliseconds(100)..=Duration::from_secs(600);
    let stall = milliseconds(100)..=Duration::from_secs(3600);
    let max_model = size("limits.max_model", raw.max_model, 1 << 10..=1 << 40)?;
    let window_range = u64::from(UploadWindow::MIN.bytes())..=u64::from(UploadWindow::MAX.bytes());
    let window = size("limits.upload_window", raw.upload_window, window_range)?;
    let memory = size("limits.upload_memory", raw.upload_memory, 4 << 20..=1 << 40)?;
    let rate = size("limits.min_upload_rate", raw.min_upload_rate, 1..=1 << 30)?;
    Ok(Limits {
        max_model: max_model.and_then(NonZeroU64::new).unwrap_or(default.max_model),
        chunk: chunk
            .and_then(|bytes| usize::try_from(bytes).ok())
            .and_then(ChunkSize::new)
            .unwrap_or(default.chunk),
        max_connections: count("limits.max_connections", raw.max_connections, 1..=1_000_000)?
            .unwrap_or(default.max_connections),
        max_uploads: count("limits.max_uploads", raw.max_uploads, 1..=65_536)?.unwrap_or(default.max_uploads),
        upload_window: window
            .and_then(|bytes| u32::try_from(bytes).ok())
            .and_then(UploadWindow::new)
            .unwrap_or(default.upload_window),
        upload_memory: memory
            .and_then(|bytes| usize::try_from(bytes).ok())
            .and_then(NonZeroUsize::new)
            .unwrap_or(default.upload_memory),
        handshake: duration("limits.handshake", raw.handshake, handshake)?.unwrap_or(default.handshake),
        stall: duration("limits.stall", raw.stall, stall)?.unwrap_or(default.stall),
        min_upload_rate: rate.and_then(NonZeroU64::new).unwrap_or(default.min_upload_rate),
    })
}

fn size(path: &str, found: Option<String>, range: RangeInclusive<u64>) -> Result<Option<u64>, Mistake> {
    let Some(text) = found else { return Ok(None) };
    let size = text.parse::<ByteSize>().ok().map(|size| size.as_u64()).filter(|size| range.contains(size));
    let (start, end) = (written(*range.start()), written(*range.end()));
    size.map(Some)
        .ok_or_else(|| Mistake::text(path, format!("a size from {start} to {end}"), &text, SIZE_HINT))
}

fn duration(
    path: &str,
    found: Option<String>,
    range: RangeInclusive<Duration>,
) -> Result<Option<Duration>, Mistake> {
    let Some(text) = found else { return Ok(None) };
    let duration = humantime::parse_duration(&text).ok().filter(|duration| range.contains(duration));
    let written = humantime::format_duration;
    let (start, end) = (written(*range.start()), written(*range.end()));
    duration
        .map(Some)
        .ok_or_else(|| Mistake::text(path, format!("a duration from {start} to {end}"), &text, DURATION_HINT))
}

fn count(
    path: &str,
    found: Option<u64>,
    range: RangeInclusive<u64>,
) -> Result<Option<NonZeroUsize>, Mistake> {
    let Some(number) = found else { return Ok(None) };
    let count = usize::try_from(number).ok().filter(|_| range.contains(&number)).and_then(NonZeroUsize::new);
    let (start, end) = (range.start(), range.end());
    count
        .map(Some)
        .ok_or_else(|| Mistake::value(path, format!("a whole number from {start} to {end}"), number, ""))
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
    use crate::config::{ConfigError, LogFormat};

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
            signing_key = "keys/signing.key"
            [spool]
            url = "file:///srv/spool"
            [limits]
            max_model = "100 MB"
            chunk = "256KiB"
            max_uploads = 3
            upload_window = "4MiB"
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
        assert_eq!(config.signing_key.unwrap(), Path::new("/srv/federated/keys/signing.key"));
        assert_eq!(config.spool, SpoolConfig::Folder("/srv/spool".into()));
        assert_eq!(config.tls.certificate, Path::new("/srv/federated/server/server.pem"));
        assert_eq!(config.limits.max_model.get(), 100_000_000);
        assert_eq!(config.limits.chunk.bytes(), 256 << 10);
        assert_eq!(config.limits.max_uploads.get(), 3);
        assert_eq!(config.limits.upload_window.bytes(), 4 << 20);
        assert_eq!(config.limits.stall, Duration::from_secs(90));
        assert_eq!(config.log.format, LogFormat::Json);
        assert_eq!(config.operator.address.host(), "10.0.0.1");
    }

    #[test]
    fn a_refusal_names_file_path_expected_found_and_a_hint() {
        let text = refusal("[limits]\nchunk = \"4MiB\"");
        for part in
            ["/srv/federated/coordinator.toml: ", "limits.chunk: ", "64KiB to 4032KiB", "\"4MiB\"", "unit"]
        {
            assert!(text.contains(part), "{part} is missing from: {text}");
        }
        for (setting, path) in [
            ("listen = \"localhost\"", "listen"),
            ("[spool]\nurl = \"ftp://a/b\"", "spool.url"),
            ("[journal]\nurl = \"mysql://a/b\"", "journal.url"),
            ("[journal]\nlease = \"5s\"", "journal.url"),
            ("[journal]\nurl = \"postgres://a/b\"\nlease = \"1ms\"", "journal.lease"),
            ("[jobs]\nactive = 0", "jobs.active"),
            ("[jobs]\nkeep = \"for ever\"", "jobs.keep"),
            ("[limits]\nmax_model = \"big\"", "limits.max_model"),
            ("[limits]\nmax_connections = 0", "limits.max_connections"),
            ("[limits]\nupload_window = \"1GiB\"", "limits.upload_window"),
            ("[limits]\nhandshake = \"10\"", "limits.handshake"),
            ("[limits]\nstall = \"0s\"", "limits.stall"),
            ("[limits]\nmin_upload_rate = \"0B\"", "limits.min_upload_rate"),
            ("[log]\nformat = \"xml\"", "log.format"),
            ("[log]\nlevel = \"loud\"", "log.level"),
            ("[operator]\naddress = \"http://a:1\"", "operator.address"),
        ] {
            let text = refusal(setting);
            assert!(text.contains(&format!(".toml: {path}: expected ")), "{text}");
        }
    }

    #[test]
    fn an_unknown_setting_or_a_wrong_type_is_refused_with_path_and_line() {
        let text = refusal("[limits]\n\nchunks = \"1MiB\"");
        assert!(
            text.contains(".toml: line 3, column 1: limits.chunks: unknown field")
                && text.contains("`chunk`"),
            "{text}"
        );
        let text = refusal("[limits]\nchunk = 1048576");
        assert!(
            text.contains("line 2, column 9: limits.chunk: ") && text.contains("expected a string"),
            "{text}"
        );
        let text = refusal("\n[network]\nport = 1");
        assert!(text.contains("line 2, column 2: network: unknown field"), "{text}");
        let text = refusal("listen = ");
        assert!(text.contains("line 1, column 10: "), "{text}");
    }
}
