use std::{fs, path::Path};

use federated_core::{
    compression::Encoding,
    config::JobConfig,
    ids::{Digest, ParticipantName},
    job::{Entry, JobEvent, JobTerms},
    metrics::Metrics,
    model::{ModelLayout, TensorSpec, values_to_le_bytes},
    privacy::{
        dp::{
            Accountant, Delta, Epsilon,
            ledger::{Adjacency, Budget, PrivacyUnit},
        },
        secagg::SigningSecret,
    },
    round::{Event, Receipt, UpdateKind},
    time::Timestamp,
    update::ExampleCount,
};

use super::*;
use crate::store::{JobLedger, Store, UpdateForm, journal::Journal};

const JOB: &str = r#"
name = "job"
rounds = 3
model = { initial = "initial.safetensors" }
strategy = { kind = "fedavg", local_epochs = 1, batch_size = 8, learning_rate = 0.1 }
cohort = { min_participants = 2, quorum = 2 }
"#;

/// A coordinator's state with a job in whose first round one of two updates is in.
async fn coordinator(dir: &Path) -> CoordinatorConfig {
    let config = CoordinatorConfig::defaults_in(dir);
    let store = Store::open(&config.state).unwrap();
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [2])]).unwrap();
    let bytes = values_to_le_bytes(&[1.0, 2.0]);
    let mut writer = store.new_model("job").unwrap();
    writer.write(&bytes).unwrap();
    let model = writer.finish(&store).unwrap();
    let terms = Box::new(JobTerms::new(JobConfig::parse(JOB).unwrap(), layout.clone(), model));
    let names: Vec<ParticipantName> = ["a", "b"].map(|name| name.parse().unwrap()).into();
    let task = federated_core::ids::TaskId {
        job: "job".parse().unwrap(),
        round: federated_core::ids::RoundNumber::FIRST,
        attempt: 1,
    };
    let update = values_to_le_bytes(&[0.5, 0.25]);
    let content = Digest::of(&update);
    let mut partial = store.resume_upload(&task, &names[0], content, UpdateForm::plain(&layout), 0).unwrap();
    partial.write(&update).unwrap();
    partial.finish(&layout).unwrap();
    let receipt = Receipt {
        content,
        bytes: 8,
        kind: UpdateKind::Open {
            encoding: Encoding::PLAIN,
            examples: ExampleCount::new(1).unwrap(),
            metrics: Metrics::new(),
        },
    };
    let stored = Event::UpdateStored { participant: names[0].clone(), task, receipt };
    let events = [
        JobEvent::Created { terms, present: names.into_iter().collect() },
        JobEvent::Round(Event::Tick),
        JobEvent::Round(stored),
    ];
    let budget = Budget {
        unit: PrivacyUnit::Participant,
        adjacency: Adjacency::AddRemove,
        epsilon: Epsilon::new(8.0).unwrap(),
        delta: Delta::new(1e-5).unwrap(),
        accountant: Accountant::Rdp,
    };
    let signing = SigningSecret::from_seed([7; 32].into());
    JobLedger::open(&store, &"job".parse().unwrap(), budget, signing, Timestamp::from_millis(0)).unwrap();
    let journal = Box::new(sqlite::SqliteMetadata::open(&config.state).await.unwrap());
    let (mut journal, _) = Journal::load(journal).await.unwrap();
    for (at, event) in (0..).zip(events) {
        journal.push(&"job".parse().unwrap(), &Entry { at: Timestamp::from_millis(at), event }).unwrap();
    }
    journal.commit().await.unwrap();
    journal.close().await;
    config
}

#[tokio::test]
async fn a_backup_that_is_put_back_is_the_same_state() {
    let folder = tempfile::tempdir().unwrap();
    let config = coordinator(&folder.path().join("one")).await;
    let copy = folder.path().join("copy");
    let copied = backup(&config, &copy).await.unwrap();
    assert_eq!(copied, Copied { jobs: 1, models: 1, updates: 1, ledgers: 1 });
    let ledger = |state: &Path| fs::read(state.join("ledgers/job.jsonl")).unwrap();
    assert_eq!(ledger(&copy), ledger(&config.state));
    let other = CoordinatorConfig::defaults_in(&folder.path().join("two"));
    assert_eq!(restore(&other, &copy).await.unwrap(), copied);
    let jobs = |contents: Contents| contents.jobs("").unwrap();
    assert_eq!(jobs(read(&other).await.unwrap()), jobs(read(&config).await.unwrap()));
    let again = backup(&other, &folder.path().join("again")).await.unwrap();
    assert_eq!(again, copied, "what was put back is complete");
}

#[tokio::test]
async fn nothing_is_written_over_and_a_damaged_backup_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = coordinator(&folder.path().join("one")).await;
    let copy = folder.path().join("copy");
    backup(&config, &copy).await.unwrap();
    assert!(matches!(backup(&config, &copy).await, Err(StoreError::Occupied { .. })));
    assert!(matches!(restore(&config, &copy).await, Err(StoreError::Occupied { .. })));
    let model = fs::read_dir(copy.join("models")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&model).unwrap();
    bytes[3] ^= 1;
    fs::write(&model, bytes).unwrap();
    let other = CoordinatorConfig::defaults_in(&folder.path().join("two"));
    assert!(matches!(restore(&other, &copy).await, Err(StoreError::Damaged { .. })));
    assert!(!other.state.join("journal.sqlite").exists(), "without a journal there is nothing");
}
