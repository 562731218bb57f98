//! The system's counters. They are Linux's; elsewhere they are `None`, and `null` in the report.

use std::{fs, time::Instant};

use serde::{Deserialize, Serialize};

/// In what `/proc/PID/stat` counts time: Linux shows every program 100 a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used since it started.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// The most memory it had at one time (`VmHWM`), in bytes.
    pub(crate) peak_rss_bytes: Option<u64>,
    /// Processor time, in seconds.
    pub(crate) cpu_s: Option<f64>,
}

impl Usage {
    /// This process until now.
    pub(crate) fn of_this_process() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        Self { peak_rss_bytes: peak_rss(&read("/proc/self/status")), cpu_s: cpu(&read("/proc/self/stat")) }
    }
}

fn peak_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn cpu(stat: &str) -> Option<f64> {
    // The name, the second field, may hold anything; the third follows after its last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

/// Every byte that the machine's loopback has carried, headers and acknowledgements too.
pub(crate) fn loopback_bytes() -> Option<u64> {
    transmitted(&fs::read_to_string("/proc/net/dev").ok()?)
}

fn transmitted(devices: &str) -> Option<u64> {
    let line = devices.lines().find_map(|line| line.trim_start().strip_prefix("lo:"))?;
    line.split_whitespace().nth(8)?.parse().ok()
}

/// How many threads wanted to run, averaged over the last minute.
pub(crate) fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// When a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// Seconds on a clock that only runs forward, since a start that all moments of a process share.
    pub(crate) at_s: f64,
    /// What the loopback had carried until then.
    pub(crate) loopback_bytes: Option<u64>,
}

impl Moment {
    /// Now, with `start` as the start.
    pub(crate) fn since(start: Instant) -> Self {
        Self { at_s: start.elapsed().as_secs_f64(), loopback_bytes: loopback_bytes() }
    }
}

/// What the process in the middle reports last: the coordinator, or the floor's server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerFigures {
    /// The ends of all rounds.
    pub(crate) ends: Vec<Moment>,
    /// What it used.
    pub(crate) usage: Usage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_are_found_in_what_linux_writes() {
        let status = "Name:\troundtrip\nVmPeak:\t  999 kB\nVmHWM:\t   12345 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(peak_rss(status), Some(12_345 * 1024));
        let stat = "7 (a) b (c)) S 1 2 3 4 -1 6 7 8 9 10 250 50 11 12 20 0 5 0 100 200 300";
        assert_eq!(cpu(stat), Some(3.0));
        let devices = "Inter-| Receive | Transmit\n face |bytes packets\n    lo: 10 1 0 0 0 0 0 0 20 2 0 0 0 0 0 0\n\
                       eth0: 30 1 0 0 0 0 0 0 40 2 0 0 0 0 0 0\n";
        assert_eq!(transmitted(devices), Some(20));
    }

    #[test]
    fn what_is_not_there_is_no_number() {
        assert_eq!((peak_rss("Name:\tx\n"), cpu("7 (x) S 1"), transmitted("eth0: 1 2")), (None, None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_used_something() {
        let usage = Usage::of_this_process();
        assert!(usage.peak_rss_bytes > Some(0) && usage.cpu_s.is_some());
        assert!(loopback_bytes().is_some() && load_average().is_some());
    }
}
