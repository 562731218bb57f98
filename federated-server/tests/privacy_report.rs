//! The command `federated-coordinator privacy report`, on a state folder as a coordinator leaves it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use federated_core::{
    compression::Encoding,
    config::JobConfig,
    ids::{Digest, ParticipantName, RoundNumber, TaskId},
    job::{Entry, JobEvent, JobTerms},
    metrics::Metrics,
    model::{ModelLayout, TensorSpec},
    round::{Event, Receipt, UpdateKind},
    time::Timestamp,
    update::ExampleCount,
};
use federated_server::{
    config::CoordinatorConfig,
    identity::load_signing_key,
    store::{
        JobLedger, Store,
        journal::{Journal, sqlite::SqliteMetadata},
    },
};

const JOB: &str = r#"
    name = "heart"
    rounds = 4
    model = { initial = "initial.safetensors" }
    strategy = { kind = "fedavg", local_epochs = 1, learning_rate = 0.1 }
    cohort = { min_participants = 3, quorum = 2 }
"#;
const PRIVACY: &str = "[privacy.dp]\nplacement = \"central\"\nepsilon = 4.0\ndelta = 1e-5\nclip = 1.0\n";

fn coordinator(folder: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_federated-coordinator"));
    command.current_dir(folder).env("RUST_BACKTRACE", "0");
    command.args(arguments.split_whitespace()).output().unwrap()
}

fn done(folder: &Path, arguments: &str) -> String {
    let output = coordinator(folder, arguments);
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Path, arguments: &str) -> String {
    let output = coordinator(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments}");
    String::from_utf8(output.stderr).unwrap()
}

/// The events of a first round of three participants, one of whom does not deliver.
fn events(job: &str) -> Vec<JobEvent> {
    let config = JobConfig::parse(job).unwrap();
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [2])]).unwrap();
    let names = ["a", "b", "c"].map(|name| name.parse::<ParticipantName>().unwrap());
    let terms = Box::new(JobTerms::new(config, layout, Digest::of(b"initial")));
    let task = task();
    let kind = UpdateKind::Open {
        encoding: Encoding::PLAIN,
        examples: ExampleCount::new(1).unwrap(),
        metrics: Metrics::new(),
    };
    let receipt = Receipt { content: Digest::of(b"update"), bytes: 8, kind };
    let stored = |participant: &ParticipantName| Event::UpdateStored {
        participant: participant.clone(),
        task: task.clone(),
        receipt: receipt.clone(),
    };
    let reason =
        federated_core::round::OutReason::Declined { code: "OUT".to_owned(), message: String::new() };
    let failed = Event::MemberFailed { participant: names[2].clone(), task: task.clone(), reason };
    let published = Event::ModelPublished { task: task.clone(), model: Digest::of(b"model") };
    let rounds = [Event::Tick, stored(&names[0]), stored(&names[1]), failed, published];
    let created = JobEvent::Created { terms, present: names.into_iter().collect() };
    std::iter::once(created).chain(rounds.map(JobEvent::Round)).collect()
}

fn task() -> TaskId {
    TaskId { job: "heart".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 }
}

/// A coordinator's folder with a job in whose log one round is completed, and a ledger that pays for so many.
async fn state(folder: &Path, job: &str, paid: u32) {
    done(folder, "init . --host 127.0.0.1");
    done(folder, "signing-key");
    let file = folder.join(CoordinatorConfig::FILE);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("signing_key = \"signing.key\"\n{text}")).unwrap();
    let config = CoordinatorConfig::in_dir(folder).unwrap();
    let store = Store::open(&config.state).unwrap();
    let journal = Box::new(SqliteMetadata::open(&config.state).await.unwrap());
    let (mut journal, _) = Journal::load(journal).await.unwrap();
    for (at, event) in (1..).zip(events(job)) {
        journal.push(&task().job, &Entry { at: Timestamp::from_millis(at), event }).unwrap();
    }
    journal.commit().await.unwrap();
    journal.close().await;
    let Some(terms) = JobConfig::parse(job).unwrap().privacy else { return };
    let key = load_signing_key(config.signing_key.as_ref().unwrap()).unwrap();
    let now = Timestamp::from_millis(1_700_000_000_000);
    let mut ledger = JobLedger::open(&store, &task().job, terms.budget(), key, now).unwrap();
    ledger.plan("round", &terms.charge(), now).unwrap();
    for attempt in 1..=paid {
        let granted = ledger.reserve("round", &TaskId { attempt, ..task() }.to_string(), now).unwrap();
        ledger.commit(granted, now).unwrap();
    }
}

#[tokio::test]
async fn the_report_of_a_job_is_text_json_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    state(folder, &format!("{JOB}{PRIVACY}"), 1).await;
    let line = done(folder, "privacy report heart --json --html report.html");
    let report: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(report["discrepancies"], serde_json::json!([]), "{report:#}");
    assert_eq!(
        (&report["run"]["terms"]["placement"], &report["run"]["planned_rounds"]),
        (&"central".into(), &4.into())
    );
    let round = &report["run"]["rounds"][0];
    assert_eq!(
        (&round["cohort"], &round["survivors"]),
        (&3.into(), &serde_json::json!(["a", "b"])),
        "{round}"
    );
    assert_eq!(report["run"]["model"], Digest::of(b"model").to_string());
    assert_eq!((&report["ledger"]["reserved"], &report["ledger"]["refused"]), (&1.into(), &0.into()));
    // What is checked offline is the same last line.
    let last = report["ledger"]["last_line"].as_str().unwrap();
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains(last), "{page}");
    assert!(page.contains("the coordinator") && page.contains("What is not covered"), "{page}");
    let verified = done(folder, "ledger verify heart");
    assert!(verified.contains(last), "{verified}");
    let text = done(folder, "privacy report heart");
    assert!(text.starts_with("job `heart`: in round 2 of 4\n"), "{text}");
    assert!(text.contains("3 asked, 2 in the model") && text.contains(last), "{text}");
}

#[tokio::test]
async fn a_ledger_that_pays_for_less_than_the_log_says_is_told_and_a_changed_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    state(folder, &format!("{JOB}{PRIVACY}"), 0).await;
    let text = done(folder, "privacy report heart");
    assert!(
        text.starts_with("DOES NOT FIT: the job's log has 1 attempts at rounds, and the ledger pays for 0"),
        "{text}"
    );
    let path = folder.join("state/ledgers/heart.jsonl");
    let changed = fs::read_to_string(&path).unwrap().replace("\"epsilon\":4.0", "\"epsilon\":8.0");
    fs::write(&path, changed).unwrap();
    assert!(refused(folder, "privacy report heart").contains("signature"));
}

#[tokio::test]
async fn a_job_that_is_not_there_or_not_private_has_no_report() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    state(folder, JOB, 0).await;
    let said = refused(folder, "privacy report heart");
    assert!(said.contains("expected a table [privacy.dp], found none: nothing is promised"), "{said}");
    let said = refused(folder, "privacy report lung");
    assert!(said.contains("expected a job `lung`, found none in the journal"), "{said}");
}
