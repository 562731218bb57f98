use std::fmt::Write as _;

use crate::report::{Line, Summary};

/// A repetition for people.
pub(crate) fn line(line: &Line) -> String {
    let own = if line.processes { ", each a process" } else { "" };
    let mut text = format!(
        "{} {}: {} participants{own} x {} parameters, {} rounds, compression {}\n",
        line.system, line.version, line.n, line.m, line.rounds, line.compression
    );
    let mut row = |name: &str, value: String| {
        // Writing into a String does not fail.
        let _ = writeln!(text, "  {name:<24}{value}");
    };
    let (least, most) = (seconds(line.s_round_min), seconds(line.s_round_max));
    row("a round", format!("{} ({least} to {most})", seconds(line.s_per_round)));
    row("the first round", seconds(Some(line.s_round1)));
    row(
        "on the wire a round",
        format!("{} (ideal {} MB)", sized(line.wire_mb_per_round), line.ideal_wire_mb),
    );
    row(
        "coordinator",
        format!("{} at its peak, {} of CPU", sized(line.server_rss_mb), seconds(line.server_cpu_s)),
    );
    row("participants", format!("{} at their peaks", sized(line.clients_rss_sum_mb)));
    row("all CPU", seconds(line.all_cpu_s));
    if let Some(error) = line.ok_err_v0 {
        row("largest error", format!("{error:.1e}"));
    }
    if let Some(cipher) = &line.cipher {
        row("cipher suite", cipher.clone());
    }
    if let Some(ratio) = line.ratio_to_floor {
        row("floor", format!("{}: {ratio} times that", seconds(line.floor_s_per_round)));
    }
    row("ok", line.ok.to_string());
    text
}

/// The summary for people.
pub(crate) fn summary(summary: &Summary) -> String {
    let mut text = format!("median of {} (smallest to largest)\n", summary.count());
    for (name, median, least, most) in summary.figures() {
        // Writing into a String does not fail.
        let _ = writeln!(text, "  {name:<24}{median} ({least} to {most})");
    }
    text
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds} s"))
}

fn sized(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |megabytes| format!("{megabytes} MB"))
}
