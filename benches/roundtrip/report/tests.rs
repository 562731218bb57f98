use clap::Parser;

use super::*;
use crate::cli::Cli;

fn options(line: &str) -> Options {
    Cli::parse_from(std::iter::once("roundtrip").chain(line.split_whitespace())).options
}

fn figures(ends: &[(f64, u64)]) -> ServerFigures {
    let moment = |(at_s, bytes): &(f64, u64)| Moment { at_s: *at_s, loopback_bytes: Some(*bytes) };
    let usage = Usage { peak_rss_bytes: Some(50_000_000), cpu_s: Some(1.5) };
    ServerFigures { ends: ends.iter().map(moment).collect(), usage }
}

fn federated(ends: &[(f64, u64)], error: f64) -> Federated {
    let usage = Usage { peak_rss_bytes: Some(10_000_000), cpu_s: Some(0.25) };
    Federated {
        coordinator: figures(ends),
        participants: vec![usage; 2],
        round1_s: 0.5,
        error,
        tolerance: 1e-6,
    }
}

const ENDS: [(f64, u64); 4] = [(10.0, 0), (10.5, 1_000_000), (10.75, 3_000_000), (11.75, 3_500_000)];

#[test]
fn figures_a_round_are_from_end_to_end_and_leave_out_the_first_round() {
    let line = Line::of_federation(&options("--clients 2 --params 1000"), None, &federated(&ENDS, 0.0));
    assert_eq!((line.s_per_round, line.s_round_min, line.s_round_max), (Some(0.5), Some(0.25), Some(1.0)));
    assert_eq!((line.s_round1, line.wire_mb_per_round, line.ideal_wire_mb), (0.5, Some(1.0), 0.016));
    assert_eq!((line.server_rss_mb, line.clients_rss_sum_mb), (Some(50.0), Some(20.0)));
    assert_eq!((line.server_cpu_s, line.all_cpu_s), (Some(1.5), Some(2.0)));
}

#[test]
fn one_round_alone_has_no_figures_a_round() {
    let line = Line::of_federation(&options("--rounds 1"), None, &federated(&ENDS[..1], 0.0));
    assert_eq!((line.s_per_round, line.wire_mb_per_round, line.s_round1), (None, None, 0.5));
}

#[test]
fn a_wrong_model_is_not_ok_unless_compression_loses_something() {
    let ok = |line: &str, error| Line::of_federation(&options(line), None, &federated(&ENDS, error)).ok;
    assert!(ok("", 1e-7) && !ok("", 1e-3) && !ok("--compression none+zstd", 1e-3));
    assert!(ok("--compression int8", 1e-3));
}

#[test]
fn a_summary_has_medians_and_spreads_of_what_was_measured() {
    let line = |error| Line::of_federation(&options(""), Some(0.5), &federated(&ENDS, error));
    assert!(Summary::of(&[line(0.0)]).unwrap().is_none());
    let summary = Summary::of(&[line(1e-7), line(3e-7), line(2e-7)]).unwrap().unwrap();
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!((&json["system"], &json["summary_of"]), (&json!("federated"), &json!(3)));
    assert_eq!((&json["ok_err_v0"], &json["spread"]["ok_err_v0"]), (&json!(2e-7), &json!([1e-7, 3e-7])));
    assert!(json["spread"].get("ratio_to_floor").is_none());
    assert!(summary.figures().any(|figure| figure == ("s_per_round", 0.5, 0.5, 0.5)));
}
