//! The commands `federated-coordinator ledger ...`.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use federated_core::{
    privacy::dp::{
        Accountant, Composition, Delta, Epsilon, MechanismStep, NoiseMultiplier, SamplingRate,
        ledger::{Adjacency, Budget, PrivacyUnit},
    },
    time::Timestamp,
};
use federated_server::{
    config::CoordinatorConfig,
    identity::load_signing_key,
    store::{JobLedger, Store},
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn coordinator(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_federated-coordinator"));
    command.args(arguments).current_dir(folder).env("RUST_BACKTRACE", "0");
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let (code, said) = coordinator(folder, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let (code, said) = coordinator(folder, arguments);
    assert_eq!(code, Some(1), "{arguments:?}: {said}");
    said
}

/// A coordinator's folder `c` with a ledger of the job `heart`, and its public key.
fn with_ledger() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), &["init", "c", "--host", "127.0.0.1"]);
    let said = refused(folder.path(), &["ledger", "show", "heart", "--dir", "c"]);
    assert!(said.contains("expected a `signing_key`, found none"), "{said}");
    let file = folder.path().join("c/coordinator.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config.replace("# signing_key =", "signing_key =")).unwrap();
    let key = done(folder.path(), &["signing-key", "--dir", "c"]).trim().to_owned();
    let said = refused(folder.path(), &["ledger", "show", "heart", "--dir", "c"]);
    assert!(said.contains("only jobs with differential privacy have a ledger"), "{said}");

    let config = CoordinatorConfig::in_dir(&folder.path().join("c")).unwrap();
    let store = Store::open(&config.state).unwrap();
    let budget = Budget {
        unit: PrivacyUnit::Participant,
        adjacency: Adjacency::AddRemove,
        epsilon: Epsilon::new(8.0).unwrap(),
        delta: Delta::new(1e-5).unwrap(),
        accountant: Accountant::Gaussian,
    };
    let signing = load_signing_key(&config.signing_key.unwrap()).unwrap();
    let mut ledger = JobLedger::open(&store, &"heart".parse().unwrap(), budget, signing, NOW).unwrap();
    let step = MechanismStep {
        noise_multiplier: NoiseMultiplier::new(5.0).unwrap(),
        sampling_rate: SamplingRate::FULL,
        rounds: 1.try_into().unwrap(),
    };
    ledger.plan("model", &Composition::from(step), NOW).unwrap();
    let granted = ledger.reserve("model", "round 1/attempt 1", NOW).unwrap();
    ledger.commit(granted, NOW).unwrap();
    (folder, key)
}

#[test]
fn show_says_what_a_job_has_spent() {
    let (folder, key) = with_ledger();
    let said = done(folder.path(), &["ledger", "show", "heart", "--dir", "c"]);
    for part in [
        "privacy ledger of heart",
        "protects   a participant, adjacency add-remove",
        "1 reserved, of which 1 released",
        &format!("signed with {key}"),
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = done(folder.path(), &["ledger", "show", "heart", "--dir", "c", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["releases"][0]["released"], 1);
    assert_eq!(json["budget"]["accountant"], "gaussian");
}

#[test]
fn a_copy_is_verified_with_the_public_key_alone_and_fails_after_any_byte_is_flipped() {
    let (folder, key) = with_ledger();
    let own = done(folder.path(), &["ledger", "verify", "heart", "--dir", "c"]);
    assert!(own.contains("heart.jsonl: 4 lines, each signed with"), "{own}");
    done(folder.path(), &["ledger", "export", "heart", "--dir", "c", "--out", "copy.jsonl"]);
    let said = refused(folder.path(), &["ledger", "export", "heart", "--dir", "c", "--out", "copy.jsonl"]);
    assert!(said.contains("a file that is there is not written over"), "{said}");
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.jsonl");
    fs::copy(folder.path().join("copy.jsonl"), &copy).unwrap();
    let verify = ["ledger", "verify", "--file", "copy.jsonl", "--key", &key];
    let said = done(elsewhere.path(), &verify);
    assert_eq!(said.split_once(' ').unwrap().1, own.split_once(' ').unwrap().1);
    let bytes = fs::read(&copy).unwrap();
    for place in (0..bytes.len()).step_by(89).chain([bytes.len() - 1]) {
        let mut changed = bytes.clone();
        changed[place] ^= 4;
        fs::write(&copy, changed).unwrap();
        let said = refused(elsewhere.path(), &verify);
        assert!(said.starts_with("error: copy.jsonl"), "byte {place}: {said}");
    }
    fs::write(&copy, bytes).unwrap();
    let said = refused(elsewhere.path(), &["ledger", "verify", "--file", "copy.jsonl"]);
    assert!(said.contains("give its public half with --key"), "{said}");
}
