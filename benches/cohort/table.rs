use std::fmt::Write as _;

use crate::report::{BesideLine, Line, ParticipantLine};

/// A session for people.
pub(crate) fn line(line: &Line) -> String {
    let mut text = format!(
        "secagg-cohort {}: {} participants x {} values of {} bits, gamma {}, delta {}\n\
         {} neighbours, threshold {}, quorum {}; {} drop out after they have shared their keys\n\n",
        line.version,
        line.n,
        line.m,
        line.modulus_bits,
        line.gamma,
        line.delta,
        line.k,
        line.threshold,
        line.quorum,
        line.dropouts
    );
    let mut row = |[name, seconds, up, down, coordinator]: [String; 5]| {
        // Writing into a String does not fail.
        let _ = writeln!(text, "  {name:<18}{seconds:>20}{up:>22}{down:>22}{coordinator:>16}");
    };
    let heads = ["median (most)", "a participant, ms", "bytes up", "bytes down", "coordinator, s"];
    row(heads.map(str::to_owned));
    for (number, stage) in line.stages.iter().enumerate() {
        row(cells(&format!("R{number} {}", stage.stage), &stage.participant, stage.coordinator_s));
    }
    row(cells("together", &line.participant, line.coordinator_s));
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<26}{value}");
    };
    row("masks over a vector", beside(&line.masking));
    row("secrets rebuilt", format!("{:.3} s", line.secrets_s));
    row("masks off the sum", beside(&line.unmasking));
    let known = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
    row("memory", format!("{} MB at its peak, with everyone in one process", known(line.rss_mb)));
    row("load", format!("{} before, {} after", known(line.loadavg_before), known(line.loadavg)));
    row("ok", line.ok.to_string());
    text
}

fn cells(name: &str, cost: &ParticipantLine, coordinator_s: f64) -> [String; 5] {
    let ParticipantLine { s, s_max, bytes_up, bytes_up_max, bytes_down, bytes_down_max } = cost;
    [
        name.to_owned(),
        format!("{:.2} ({:.2})", s * 1e3, s_max * 1e3),
        format!("{bytes_up} ({bytes_up_max})"),
        format!("{bytes_down} ({bytes_down_max})"),
        format!("{coordinator_s:.3}"),
    ]
}

fn beside(line: &BesideLine) -> String {
    let BesideLine { keystream_bytes, s, floor_s, ratio } = line;
    let megabytes = *keystream_bytes as f64 / 1e6;
    format!("{s:.4} s for {megabytes:.1} MB of keystream; floor {floor_s:.4} s: {ratio} times that")
}
