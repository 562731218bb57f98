//! The commands `federated-coordinator privacy ...`.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn privacy(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_federated-coordinator"));
    command.current_dir(folder).env("RUST_BACKTRACE", "0").arg("privacy");
    command.args(arguments.split_whitespace()).output().unwrap()
}

fn json(folder: &Path, arguments: &str) -> serde_json::Value {
    let output = privacy(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exit status and what is said.
fn refused(folder: &Path, arguments: &str) -> (Option<i32>, String) {
    let output = privacy(folder, arguments);
    assert!(output.stdout.is_empty(), "{arguments}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn near(value: &serde_json::Value, expected: f64, part: f64) -> bool {
    (value.as_f64().unwrap() / expected - 1.0).abs() <= part
}

/// The numbers are those of Google's dp-accounting 0.6.0.
#[test]
fn epsilon_of_a_file_of_steps_is_printed_by_each_accountant() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mixed = r#"[{"noise_multiplier": 1.0, "sampling_rate": 0.01, "rounds": 500},
                    {"noise_multiplier": 2, "sampling_rate": 0.05, "rounds": 100}]"#;
    fs::write(folder.join("mixed.json"), mixed).unwrap();
    let found = json(folder, "epsilon --steps mixed.json --delta 1e-5 --json");
    assert!(near(&found["epsilon_rdp"], 1.973_083_785_878_648_7, 1e-5), "{found}");
    assert!(near(&found["epsilon_pld"], 1.706_050_979_495_190_4, 1e-3), "{found}");
    assert_eq!(found.as_object().unwrap().len(), 3, "{found}");

    let full = r#"[{"noise_multiplier": 10, "sampling_rate": 1, "rounds": 100}]"#;
    fs::write(folder.join("full.json"), full).unwrap();
    let found = json(folder, "epsilon --steps full.json --delta 1e-5 --json");
    assert!(near(&found["rdp_order"], 5.0, 1e-9), "{found}");
    assert!(near(&found["epsilon_exact"], 4.377_178_095_681_224_6, 1e-9), "{found}");
    let output = privacy(folder, "epsilon --steps full.json --delta 1e-5");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("100 rounds spend, with delta 0.00001, by the accountant\n"), "{text}");
    assert!(text.contains("rdp       epsilon 4.752728 (order 5)\n"), "{text}");
    assert!(text.contains("gaussian  epsilon 4.377178 (exact)\n"), "{text}");
}

#[test]
fn noise_for_a_budget_is_printed_and_spends_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let exact = json(folder, "noise --epsilon 1 --delta 1e-5 --sampling-rate 1 --rounds 100 --json");
    assert_eq!(exact["accountant"], "gaussian");
    // 100 rounds with 37 spend 1.009.
    assert!(near(&exact["noise_multiplier"], 37.3, 3e-3), "{exact}");
    let asked = "noise --epsilon 2 --delta 1e-5 --sampling-rate 0.1 --rounds 50 --json --accountant";
    let [rdp, pld] = ["rdp", "pld"].map(|accountant| json(folder, &format!("{asked} {accountant}")));
    assert!(pld["noise_multiplier"].as_f64() < rdp["noise_multiplier"].as_f64(), "{pld} {rdp}");
    let step = format!(
        r#"[{{"noise_multiplier": {}, "sampling_rate": 0.1, "rounds": 50}}]"#,
        pld["noise_multiplier"]
    );
    fs::write(folder.join("back.json"), step).unwrap();
    let back = json(folder, "epsilon --steps back.json --delta 1e-5 --json");
    let epsilon = back["epsilon_pld"].as_f64().unwrap();
    assert!(epsilon <= 2.0 && epsilon > 1.99, "{back}");
    let output = privacy(folder, "noise --epsilon 1 --delta 1e-5 --sampling-rate 1 --rounds 100");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("A noise multiplier of 37."), "{text}");
}

#[test]
fn what_is_no_list_of_steps_is_refused_by_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (status, said) = refused(folder, "epsilon --steps gone.json --delta 1e-5");
    assert!(status == Some(1) && said.contains("cannot read gone.json"), "{said}");
    for (text, expected) in [
        (r#"[{"noise_multiplier": 1, "sampling_rate": 0, "rounds": 5}]"#, "expected a sampling rate"),
        (r#"[{"noise_multiplier": -1, "sampling_rate": 0.5, "rounds": 5}]"#, "expected a noise multiplier"),
        (r#"[{"noise_multiplier": 1, "sampling_rate": 0.5, "rounds": 0}]"#, "nonzero"),
        (r#"[{"noise_multiplier": 1, "sampling_rate": 0.5}]"#, "missing field `rounds`"),
        ("[]", "at least one step"),
        ("{", "expected a list"),
    ] {
        fs::write(folder.join("bad.json"), text).unwrap();
        let (status, said) = refused(folder, "epsilon --steps bad.json --delta 1e-5");
        assert!(status == Some(1) && said.contains("bad.json") && said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn numbers_out_of_range_and_budgets_out_of_reach_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (arguments, code, expected) in [
        ("epsilon --steps x.json --delta 1", 2, "expected a delta: a number above 0 and below 1"),
        ("noise --epsilon 1 --delta 1e-5 --sampling-rate 0 --rounds 5", 2, "expected a sampling rate"),
        ("noise --epsilon nan --delta 1e-5 --sampling-rate 1 --rounds 5", 2, "expected an epsilon"),
        (
            "noise --epsilon 1 --delta 1e-5 --sampling-rate 1 --rounds 5 --accountant x",
            2,
            "\"gaussian\", \"rdp\" or \"pld\"",
        ),
        (
            "noise --epsilon 1 --delta 1e-5 --sampling-rate 0.5 --rounds 5 --accountant gaussian",
            1,
            "sampling rate 1",
        ),
        (
            "noise --epsilon 0.01 --delta 1e-5 --sampling-rate 1 --rounds 5 --accountant rdp",
            1,
            "no noise multiplier up to",
        ),
    ] {
        let (status, said) = refused(folder, arguments);
        assert!(status == Some(code) && said.contains(expected), "{arguments}: {said}");
    }
}

const JOB: &str = r#"
    name = "heart"
    rounds = 30
    model = { initial = "there is none yet" }
    strategy = { kind = "fedavg", local_epochs = 1, learning_rate = 0.1 }
    cohort = { min_participants = 20, quorum = 15 }
"#;
const PRIVATE: &str = "[privacy.dp]\nplacement = \"central\"\nepsilon = 4.0\ndelta = 1e-5\nclip = 0.5\n";

#[test]
fn a_plan_shows_epsilons_rounds_and_cohorts_around_the_jobs_own() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("job.toml"), format!("{JOB}{PRIVATE}")).unwrap();
    let plan = json(folder, "plan job.toml --json");
    let choices = plan["choices"].as_array().unwrap();
    assert_eq!((choices.len(), &plan["attempts"], &plan["job"]), (15, &30.into(), &"heart".into()));
    let own = &choices[7];
    assert_eq!((&own["epsilon"], &own["rounds"]), (&4.0.into(), &30.into()));
    // As `privacy noise` has it, of the 99 in 100 of delta that are counted with.
    let noise = json(folder, "noise --epsilon 4 --delta 0.99e-5 --sampling-rate 1 --rounds 30 --json");
    let multiplier = noise["noise_multiplier"].as_f64().unwrap();
    assert!(
        near(&own["noise_multiplier"], multiplier, 1e-6)
            && near(&plan["terms"]["noise_multiplier"], multiplier, 1e-6)
    );
    for (place, participants) in [10.0, 20.0, 40.0, 200.0].into_iter().enumerate() {
        let mean = &own["means"][place];
        assert!(near(&mean["units"], participants, 1e-9), "{mean}");
        assert!(near(&mean["sigma"], multiplier * 0.5 / participants, 1e-6), "{mean}");
    }
    let spent = plan["spent"].as_array().unwrap();
    assert!(near(&spent.last().unwrap()["epsilon"], 4.0, 1e-3), "{spent:?}");
}

#[test]
fn a_plan_is_a_table_a_plot_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("job.toml"), format!("{JOB}{PRIVATE}noise_multiplier = 12.0\n")).unwrap();
    let output = privacy(folder, "plan job.toml --svg spent.svg");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("job `heart`: central noise hides one participant (add-remove)"), "{text}");
    assert!(text.contains("epsilon spent by round (*) and the limit (-)\n    4.000 |"), "{text}");
    assert!(text.contains("pays for 1") && !text.contains("so it ends before"), "{text}");
    assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 120), "{text}");
    let picture = fs::read_to_string(folder.join("spent.svg")).unwrap();
    assert!(picture.starts_with("<svg xmlns=") && picture.ends_with("</svg>\n"), "{picture}");
    assert_eq!(picture.matches("<polyline").count(), 1);
    // Too little noise is said.
    fs::write(folder.join("loud.toml"), format!("{JOB}{PRIVATE}noise_multiplier = 2.0\n")).unwrap();
    let text = String::from_utf8(privacy(folder, "plan loud.toml").stdout).unwrap();
    assert!(text.contains("so it ends before its last round"), "{text}");
}

#[test]
fn a_job_without_privacy_is_told_what_to_add() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("job.toml"), JOB).unwrap();
    let (status, said) = refused(folder, "plan job.toml");
    assert_eq!(status, Some(1));
    assert!(said.contains("job.toml: expected a table [privacy.dp], found none"), "{said}");
    // What is to be added is a job file's table.
    let (_, table) = said.split_once("for instance\n").unwrap();
    let local = format!("{JOB}{table}\nnoise_multiplier = 20.0\n");
    fs::write(folder.join("private.toml"), local).unwrap();
    assert_eq!(json(folder, "plan private.toml --json")["terms"]["placement"], "local");
    let (_, said) = refused(folder, "plan gone.toml");
    assert!(said.contains("cannot read gone.toml"), "{said}");
}
