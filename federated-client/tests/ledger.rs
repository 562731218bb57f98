//! A site's ledger: the command `ledger`, and what is left of the file when the process that writes it is killed.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Output, Stdio},
};

use federated_client::{
    config::SiteBudget,
    privacy::{LedgerCopy, SiteLedger},
};
use federated_core::{
    privacy::dp::{
        Composition, Delta, Epsilon, MechanismStep, NoiseMultiplier, SamplingRate,
        ledger::{Ledger, ReserveError},
    },
    time::Timestamp,
};

const CONFIG: &str = r#"
    name = "cleveland"
    coordinator = "https://127.0.0.1:1"
    tls = { ca = "ca.pem", certificate = "participant.pem", key = "participant.key" }
"#;
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn client(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_federated-client"));
    command.args(arguments).current_dir(folder).env("RUST_BACKTRACE", "0");
    let Output { status, stdout, stderr } = command.output().expect("the program");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

fn budget(folder: &Path) -> SiteBudget {
    SiteBudget::new(Epsilon::new(8.0).unwrap(), Delta::new(1e-5).unwrap(), folder.join("privacy"))
}

fn open(folder: &Path) -> SiteLedger {
    let mut ledger = SiteLedger::open(&budget(folder), &"cleveland".parse().unwrap(), NOW).unwrap();
    let step = MechanismStep {
        noise_multiplier: NoiseMultiplier::new(20.0).unwrap(),
        sampling_rate: SamplingRate::FULL,
        rounds: 1.try_into().unwrap(),
    };
    ledger.plan("heart", &Composition::from(step), NOW).unwrap();
    ledger
}

/// A site's folder with a configuration and a ledger of two releases.
fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("{CONFIG}[privacy]\nepsilon = 8.0\ndelta = 1e-5\n");
    fs::write(folder.path().join("participant.toml"), config).unwrap();
    let mut ledger = open(folder.path());
    let granted = ledger.reserve("heart", "round 1", NOW).unwrap();
    ledger.commit(granted, NOW).unwrap();
    let _granted = ledger.reserve("heart", "round 2", NOW).unwrap();
    folder
}

#[test]
fn show_says_what_is_spent_and_what_is_left() {
    let folder = site();
    let (code, said) = client(folder.path(), &["ledger", "show"]);
    assert_eq!(code, Some(0), "{said}");
    for part in
        ["privacy ledger of cleveland", "epsilon 8 with delta 0.0000099", "2 reserved, of which 1 released"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.lines().any(|line| line.starts_with("heart ")), "{said}");
    assert!(!said.contains("cut off after"), "{said}");
    let (code, said) = client(folder.path(), &["ledger", "show", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((json["reserved"].as_u64(), json["released"].as_u64()), (Some(2), Some(1)));
    let path = folder.path().join("privacy/ledger.jsonl");
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"{\"seq").unwrap();
    let (code, said) = client(folder.path(), &["ledger", "show"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("a last line is cut off after 5 bytes"), "{said}");
}

#[test]
fn a_copy_is_verified_with_the_public_key_alone_and_fails_after_any_byte_is_flipped() {
    let folder = site();
    let (code, said) = client(folder.path(), &["ledger", "export", "--out", "copy.jsonl"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, key) = client(folder.path(), &["ledger", "key"]);
    assert_eq!(code, Some(0), "{key}");
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.jsonl");
    fs::copy(folder.path().join("copy.jsonl"), &copy).unwrap();
    let verify = || client(elsewhere.path(), &["ledger", "verify", "copy.jsonl", "--key", key.trim()]);
    let (code, said) = verify();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("copy.jsonl: 5 lines") && said.contains("spent 0."), "{said}");
    let bytes = fs::read(&copy).unwrap();
    for place in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        fs::write(&copy, changed).unwrap();
        let (code, said) = verify();
        assert_eq!(code, Some(1), "byte {place}: {said}");
        assert!(said.starts_with("error: copy.jsonl: "), "byte {place}: {said}");
    }
    fs::write(&copy, bytes).unwrap();
    let other = "07".repeat(32);
    let (code, said) = client(elsewhere.path(), &["ledger", "verify", "copy.jsonl", "--key", &other]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("line 1: expected the owner's signature"), "{said}");
    let (code, said) = client(elsewhere.path(), &["ledger", "verify", "copy.jsonl"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("give it with --key"), "{said}");
}

#[test]
fn a_site_without_a_ledger_is_told_where_one_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("participant.toml"), CONFIG).unwrap();
    let (code, said) = client(folder.path(), &["ledger", "show"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("expected a table [privacy] with epsilon and delta"), "{said}");
    let config = format!("{CONFIG}[privacy]\nepsilon = 8.0\ndelta = 1e-5\n");
    fs::write(folder.path().join("participant.toml"), config).unwrap();
    let (code, said) = client(folder.path(), &["ledger", "verify"]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = client(folder.path(), &["ledger", "show"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("it is made when a participant with a table [privacy] starts"), "{said}");
    fs::create_dir(folder.path().join("privacy")).unwrap();
    fs::write(folder.path().join("privacy/ledger.key"), "07".repeat(32)).unwrap();
    let (code, said) = client(folder.path(), &["ledger", "export", "--out", "copy"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("restore it from a backup"), "{said}");
}

/// The folder that [`writes_until_it_is_killed`] writes in.
const FOLDER: &str = "LEDGER_UNDER_TEST";

/// No test of its own: what [`a_process_that_is_killed_loses_no_reservation`] starts and kills. A line on standard output is a
/// release, between its reservation and its commitment.
#[test]
#[ignore = "writes until it is killed, and is started by another test"]
fn writes_until_it_is_killed() {
    let folder = std::env::var(FOLDER).expect("a folder");
    let mut ledger = open(Path::new(&folder));
    for round in 0_u64.. {
        match ledger.reserve("heart", &format!("round {round}"), NOW) {
            Ok(granted) => {
                println!("released");
                ledger.commit(granted, NOW).unwrap();
            }
            Err(ReserveError::OverBudget(_)) => println!("refused"),
            Err(error) => unreachable!("{error}"),
        }
    }
}

/// Starts a process that writes, kills it after so many of its lines, and gives how many releases it has told in all.
fn releases_until_killed(folder: &Path, lines: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    // The test harness has lines of its own before the first.
    let told = |line: &String| line.ends_with("released") || line.ends_with("refused");
    let mut first: Vec<String> = said.by_ref().filter(told).take(lines).collect();
    child.kill().unwrap();
    first.extend(said.filter(told));
    child.wait().unwrap();
    first.iter().filter(|line| line.ends_with("released")).count().try_into().unwrap()
}

/// `kill -9` cannot take what the system has of a file; that nothing is lost with the power is shown where the disk is a
/// test's own, in `federated-core/tests/ledger-kills`.
#[test]
fn a_process_that_is_killed_loses_no_reservation() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let (mut released, mut torn) = (0, 0);
    for kill in 0..25 {
        released += releases_until_killed(folder.path(), kill % 7);
        let copy = LedgerCopy::of_folder(&budget(folder.path()).folder).unwrap();
        torn += u64::from(copy.cut_off() > 0);
        let ledger = open(folder.path());
        let books = ledger.ledger();
        assert!(
            books.reserved() + books.torn() >= released,
            "{} reserved, {released} released",
            books.reserved()
        );
        assert!(books.committed() <= released);
        assert_eq!(books.torn(), torn);
        assert_eq!(books.total().rounds(), books.reserved() + books.torn());
        let bytes = fs::read(copy.path()).unwrap();
        assert_eq!(Ledger::verify(&bytes, &ledger.public()).as_ref(), Ok(books));
    }
    assert!(released >= 60, "{released}");
}

#[test]
fn the_report_of_a_site_is_text_json_and_a_page() {
    let folder = site();
    let (code, said) = client(folder.path(), &["privacy", "report", "--json", "--html", "report.html"]);
    assert_eq!(code, Some(0), "{said}");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&report["ledger"]["subject"], &report["releases"][0]["sums"]),
        (&"cleveland".into(), &2.into())
    );
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains(report["ledger"]["last_line"].as_str().unwrap()), "{page}");
    let (code, said) = client(folder.path(), &["privacy", "report"]);
    assert!(code == Some(0) && said.contains("remaining  epsilon"), "{said}");
    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("participant.toml"), CONFIG).unwrap();
    let (code, said) = client(empty.path(), &["privacy", "report"]);
    assert!(code == Some(1) && said.contains("expected a table [privacy]"), "{said}");
}
