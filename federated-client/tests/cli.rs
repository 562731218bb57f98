//! The program `federated-client` where no coordinator is needed.

#![expect(clippy::expect_used, reason = "a helper of a test fails the test")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use federated_core::model::from_safetensors;

fn client(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_federated-client"));
    command.args(arguments).current_dir(folder).env("RUST_BACKTRACE", "0");
    let Output { status, stdout, stderr } = command.output().expect("the program");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

const CONFIG: &str = r#"
    name = "cleveland"
    coordinator = "https://127.0.0.1:1"
    device = "cpu"
    tls = { ca = "ca.pem", certificate = "participant.pem", key = "participant.key" }
"#;

#[test]
fn check_fails_and_names_each_problem_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("participant.toml"), CONFIG).unwrap();
    let (code, said) = client(folder.path(), &["check"]);
    assert_eq!(code, Some(1), "{said}");
    for file in ["ca.pem", "participant.pem", "participant.key"] {
        assert!(
            said.lines().any(|line| line.starts_with("PROBLEM") && line.contains(file)),
            "{file}: {said}"
        );
    }
    assert!(said.contains("-> the bundle of `federated-coordinator enroll NAME` has it"), "{said}");
    assert!(said.contains("problems"), "{said}");
}

#[test]
fn a_configuration_that_is_missing_or_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = client(folder.path(), &["check"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot read participant.toml"), "{said}");
    fs::write(folder.path().join("site.toml"), CONFIG.replace("\"cpu\"", "\"gpu\"")).unwrap();
    let (code, said) = client(folder.path(), &["run", "--config", "site.toml"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("site.toml: device: expected") && said.contains("found \"gpu\""), "{said}");
}

#[test]
fn run_needs_a_table_to_train_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("participant.toml"), CONFIG).unwrap();
    let (code, said) = client(folder.path(), &["run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("expected a table [data] with csv and label, found none"), "{said}");
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["dance"][..], &["run", "--stop-after-jobs", "0"], &["check", "--device", "abacus"]] {
        let (code, said) = client(folder.path(), arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
    }
}

#[test]
fn a_new_model_is_the_same_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let make = |seed: &str, out: &str| {
        let arguments = ["new-model", "--dense", "13,8,1", "--seed", seed, "--out", out];
        let (code, said) = client(folder.path(), &arguments);
        assert_eq!(code, Some(0), "{said}");
        from_safetensors(&fs::read(folder.path().join(out)).unwrap()).unwrap()
    };
    let (first, again, other) = (make("3", "a"), make("3", "b"), make("4", "c"));
    assert_eq!(first.layout().elements(), 13 * 8 + 8 + 8 + 1);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn check_looks_at_the_table_of_secure_aggregation() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "{CONFIG}\n[secure_aggregation]\nsigning_key = \"signing.key\"\npinned_roster = \"roster\"\nmin_cohort = 4\n"
    );
    fs::write(folder.path().join("participant.toml"), config).unwrap();
    let (_, line) = client(folder.path(), &["secagg-key", "cleveland"]);
    fs::write(folder.path().join("roster"), line).unwrap();
    let (code, said) = client(folder.path(), &["check"]);
    assert_eq!(code, Some(1), "{said}");
    let says = |verdict: &str, name: &str| {
        let name = format!("secure_aggregation.{name} ");
        assert!(said.lines().any(|line| line.starts_with(verdict) && line.contains(&name)), "{name}: {said}");
    };
    says("ok", "signing_key");
    says("ok", "pinned_roster");
    says("PROBLEM", "min_cohort");
    assert!(said.contains("-> lower it, or complete the roster"), "{said}");
}
