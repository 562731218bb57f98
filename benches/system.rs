//! The system's counters. They are Linux's; elsewhere they are `None`, and `null` in the report.

use std::fs;
#[cfg(unix)]
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// In what `/proc/PID/stat` counts time: Linux shows every program 100 a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used since it started.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The most memory it had at one time (`VmHWM`), in bytes.
    pub peak_rss_bytes: Option<u64>,
    /// Processor time, in seconds.
    pub cpu_s: Option<f64>,
}

impl Usage {
    /// This process until now.
    #[must_use]
    pub fn of_this_process() -> Self {
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
#[must_use]
pub fn loopback_bytes() -> Option<u64> {
    transmitted(&fs::read_to_string("/proc/net/dev").ok()?)
}

fn transmitted(devices: &str) -> Option<u64> {
    let line = devices.lines().find_map(|line| line.trim_start().strip_prefix("lo:"))?;
    line.split_whitespace().nth(8)?.parse().ok()
}

/// How many threads wanted to run, averaged over the last minute.
#[must_use]
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// What work gives, and the seconds of processor time that this thread has spent on it: other programs' work is not in
/// them, unlike in what a clock shows.
#[cfg(unix)]
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    use rustix::time::{ClockId, clock_gettime};
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
    };
    let before = now();
    let done = work();
    (done, now().saturating_sub(before).as_secs_f64())
}

/// What work gives, and the seconds it took by the clock: this system shows no thread's own time.
#[cfg(not(unix))]
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = std::time::Instant::now();
    let done = work();
    (done, before.elapsed().as_secs_f64())
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

    #[test]
    fn work_takes_time_of_its_own() {
        let (sum, seconds) = timed(|| (0..1_000_000_u64).map(std::hint::black_box).sum::<u64>());
        assert_eq!(sum, 499_999_500_000);
        assert!(seconds > 0.0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_used_something() {
        let usage = Usage::of_this_process();
        assert!(usage.peak_rss_bytes > Some(0) && usage.cpu_s.is_some());
        assert!(loopback_bytes().is_some() && load_average().is_some());
    }
}
