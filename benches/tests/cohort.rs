//! The program `secagg-cohort`, run as one would.

use std::process::Command;

use serde_json::Value;

fn cohort(arguments: &str) -> (bool, String, String) {
    let program = env!("CARGO_BIN_EXE_secagg-cohort");
    let output = Command::new(program).args(arguments.split_whitespace()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_session_with_dropouts_gives_the_sum_and_what_each_stage_costs() {
    for bits in [16, 24, 32] {
        let (succeeded, line, errors) =
            cohort(&format!("--clients 20 --params 1000 --dropouts 3 --modulus-bits {bits} --json"));
        assert!(succeeded, "{errors}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["ok"], true, "{line}");
        assert_eq!(
            (line["n"].as_u64(), line["k"].as_u64(), line["dropouts"].as_u64()),
            (Some(20), Some(19), Some(3))
        );
        let stages = line["stages"].as_array().unwrap();
        let of = |stage: usize, figure: &str| stages[stage][figure].as_f64().unwrap();
        assert_eq!(stages.len(), 5);
        for stage in 0..5 {
            assert!(of(stage, "s") > 0.0 && of(stage, "s_max") >= of(stage, "s"), "{line}");
            assert!(of(stage, "coordinator_s") > 0.0, "{line}");
        }
        // Two keys, a commitment and a signature go up; everyone's come down.
        assert!((160.0..220.0).contains(&of(0, "bytes_up")) && of(0, "bytes_down") == 0.0, "{line}");
        assert!((20.0 * 160.0..20.0 * 200.0).contains(&of(1, "bytes_down")), "{line}");
        // A pair of shares for each of the others, and one from each.
        assert!((19.0 * 88.0..19.0 * 110.0).contains(&of(1, "bytes_up")), "{line}");
        assert!((19.0 * 88.0..19.0 * 110.0).contains(&of(2, "bytes_down")), "{line}");
        let vector = line["vector_bytes"].as_f64().unwrap();
        assert_eq!(of(2, "bytes_up"), vector);
        assert!(vector >= 1_000.0 * f64::from(bits / 8), "{line}");
        // Each of 17 has its own mask, and one with each of the 19 others; on the sum are 17, and 17 for each of 3.
        assert_eq!(line["masking"]["keystream_bytes"].as_f64().unwrap(), 20.0 * vector);
        assert_eq!(line["unmasking"]["keystream_bytes"].as_f64().unwrap(), (17.0 + 3.0 * 17.0) * vector);
    }
}

#[test]
fn the_table_has_a_row_for_each_stage() {
    let (succeeded, table, errors) = cohort("--clients 4 --params 10");
    assert!(succeeded, "{errors}");
    for row in ["R0 AdvertiseKeys", "R4 Unmask", "together", "masks over a vector", "masks off the sum", "ok"]
    {
        assert!(table.contains(row), "{row} is missing in\n{table}");
    }
}

#[test]
fn too_many_dropouts_are_refused_before_anything_is_done() {
    let (succeeded, _, errors) = cohort("--clients 20 --dropouts 10");
    assert!(
        !succeeded && errors.contains("--dropouts: expected at least 12 participants that stay"),
        "{errors}"
    );
}
