//! The program `roundtrip`, run as one would.

use std::process::Command;

use serde_json::Value;

fn roundtrip(arguments: &str) -> (bool, Vec<Value>, String) {
    let program = env!("CARGO_BIN_EXE_roundtrip");
    let output = Command::new(program).args(arguments.split_whitespace()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.success(), lines, String::from_utf8(output.stderr).unwrap())
}

const FIELDS: [&str; 21] = [
    "system",
    "version",
    "n",
    "m",
    "rounds",
    "tls",
    "s_per_round",
    "s_round_min",
    "s_round1",
    "wire_mb_per_round",
    "ideal_wire_mb",
    "server_rss_mb",
    "server_cpu_s",
    "all_cpu_s",
    "clients_rss_sum_mb",
    "ok",
    "ok_err_v0",
    "compression",
    "processes",
    "loadavg_before",
    "loadavg",
];

#[test]
fn a_federation_beside_the_floor_is_one_line_with_the_fields_of_the_other_frameworks() {
    let (succeeded, lines, errors) =
        roundtrip("--clients 2 --params 1000 --rounds 3 --no-op --with-floor --json");
    assert!(succeeded && lines.len() == 1, "{lines:?} {errors}");
    let line = &lines[0];
    for field in FIELDS {
        assert!(line.get(field).is_some(), "{field} is missing in {line}");
    }
    for (field, value) in [("n", 2), ("m", 1000), ("rounds", 3)] {
        assert_eq!(line[field], value, "{field}");
    }
    assert_eq!(line["system"], "federated");
    assert_eq!((line["ok"].as_bool(), line["tls"].as_bool()), (Some(true), Some(true)));
    assert!(line["ok_err_v0"].as_f64().unwrap() < 1e-5, "{line}");
    for field in ["s_per_round", "floor_s_per_round", "ratio_to_floor"] {
        assert!(line[field].as_f64().unwrap() > 0.0, "{field} in {line}");
    }
    // Not every system has these counters.
    if let Some(megabytes) = line["wire_mb_per_round"].as_f64() {
        assert!(megabytes >= line["ideal_wire_mb"].as_f64().unwrap(), "{line}");
    }
    if let Some(megabytes) = line["server_rss_mb"].as_f64() {
        assert!(megabytes > 1.0, "{line}");
    }
}

#[test]
fn repetitions_with_processes_of_their_own_end_with_a_summary() {
    let (succeeded, lines, errors) =
        roundtrip("--clients 2 --params 1000 --rounds 2 --processes --repeat 2 --json");
    assert!(succeeded && lines.len() == 3, "{lines:?} {errors}");
    assert_eq!((lines[1]["ok"].as_bool(), lines[2]["summary_of"].as_u64()), (Some(true), Some(2)));
    assert_eq!(lines[2]["spread"]["s_per_round"].as_array().unwrap().len(), 2);
}

#[test]
fn the_floor_sends_back_what_it_was_sent() {
    let (succeeded, lines, errors) =
        roundtrip("--floor --clients 2 --params 50000 --rounds 2 --processes --json");
    assert!(succeeded && lines.len() == 1, "{lines:?} {errors}");
    assert_eq!((lines[0]["system"].as_str(), lines[0]["ok"].as_bool()), (Some("floor"), Some(true)));
    assert_eq!(lines[0]["cipher"].as_str().unwrap().split('_').next(), Some("TLS13"));
}

#[test]
fn what_is_not_there_yet_is_said() {
    let (succeeded, _, errors) = roundtrip("--dp epsilon=1");
    assert!(!succeeded && errors.contains("not available yet"), "{errors}");
}
