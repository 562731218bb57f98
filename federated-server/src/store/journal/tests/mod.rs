mod damage;

use std::{fs, path::Path};

use federated_core::{
    config::JobConfig,
    ids::Digest,
    job::{Entry, Job, JobEvent, JobTerms},
    model::{ModelLayout, TensorSpec},
    round::Event,
    time::Timestamp,
};

use super::{sqlite::SqliteMetadata, *};
use crate::store::StoreError;

const JOB: &str = r#"
name = "job"
rounds = 3
model = { initial = "initial.safetensors" }
strategy = { kind = "fedavg", local_epochs = 1, batch_size = 8, learning_rate = 0.1 }
cohort = { min_participants = 2, quorum = 1 }
"#;

/// A job's first entries: its start, and so many that come and go.
fn entries(name: &str, count: u64) -> Vec<Entry> {
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [4])]).unwrap();
    let config = JobConfig::parse(&JOB.replace("job", name)).unwrap();
    let terms = Box::new(JobTerms::new(config, layout, Digest::of(b"initial")));
    let start = JobEvent::Created { terms, present: [].into() };
    let joined = |index: u64| {
        let participant = format!("site-{index}").parse().unwrap();
        JobEvent::Round(if index.is_multiple_of(2) {
            Event::Joined(participant)
        } else {
            Event::Left(participant)
        })
    };
    let events = std::iter::once(start).chain((0..count).map(joined));
    (0..).zip(events).map(|(at, event)| Entry { at: Timestamp::from_millis(at), event }).collect()
}

async fn open(state: &Path) -> Result<(Journal, Vec<Job>), StoreError> {
    Journal::load(Box::new(SqliteMetadata::open(state).await?)).await
}

/// Adds entries to the log of the job that they start, each in a transaction of its own.
async fn write(journal: &mut Journal, name: &str, entries: Vec<Entry>) {
    for entry in entries {
        journal.push(&name.parse().unwrap(), &entry).unwrap();
        journal.commit().await.unwrap();
    }
}

/// Writes two logs and closes the journal; gives the jobs.
async fn written(state: &Path) -> Vec<Job> {
    let (mut journal, none) = open(state).await.unwrap();
    assert!(none.is_empty());
    write(&mut journal, "a", entries("a", 40)).await;
    write(&mut journal, "b", entries("b", 5)).await;
    journal.close().await;
    let (journal, jobs) = open(state).await.unwrap();
    journal.close().await;
    jobs
}

#[tokio::test]
async fn a_sqlite_journal_keeps_the_laws_of_every_store() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let store = Box::new(SqliteMetadata::open(state).await.unwrap());
    conformance::check(store, async |store| {
        drop(store);
        let store: Box<dyn MetadataStore> = Box::new(SqliteMetadata::open(state).await.unwrap());
        store
    })
    .await;
}

#[tokio::test]
async fn jobs_come_back_as_they_were_and_a_removed_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = written(folder.path()).await;
    let names: Vec<String> = jobs.iter().map(|job| job.name().to_string()).collect();
    assert_eq!(names, ["a", "b"]);
    let (mut journal, again) = open(folder.path()).await.unwrap();
    assert_eq!(again, jobs);
    journal.remove(&"a".parse().unwrap()).await.unwrap();
    let entry = Entry { at: Timestamp::from_millis(99), event: JobEvent::Restarted };
    journal.push(&"b".parse().unwrap(), &entry).unwrap();
    journal.commit().await.unwrap();
    journal.close().await;
    let (_, last) = open(folder.path()).await.unwrap();
    assert_eq!((last.len(), last[0].last().as_millis()), (1, 99));
}

#[tokio::test]
async fn a_journal_of_a_later_version_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = written(folder.path()).await;
    let execute = async |statement: &'static str| {
        use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
        let options = SqliteConnectOptions::new().filename(folder.path().join("journal.sqlite"));
        let mut connection = options.connect().await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    };
    execute("INSERT INTO _sqlx_migrations VALUES (2, 'later', CURRENT_TIMESTAMP, TRUE, X'00', 1)").await;
    let error = open(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::JournalNewer { found: 2, .. }), "{error}");
    assert!(error.to_string().contains("run the version that wrote it"));
    execute("DELETE FROM _sqlx_migrations WHERE version = 2").await;
    assert_eq!(open(folder.path()).await.unwrap().1, jobs);
}

#[tokio::test]
async fn a_journal_that_was_replaced_by_an_older_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    written(state).await;
    let older = fs::read(state.join("journal.sqlite")).unwrap();
    let (mut journal, _) = open(state).await.unwrap();
    let entry = Entry { at: Timestamp::from_millis(99), event: JobEvent::Restarted };
    journal.push(&"b".parse().unwrap(), &entry).unwrap();
    journal.commit().await.unwrap();
    journal.close().await;
    fs::write(state.join("journal.sqlite"), older).unwrap();
    let error = open(state).await.unwrap_err();
    assert!(matches!(error, StoreError::JournalLost { .. }), "{error}");
    fs::remove_file(state.join("journal.witness")).unwrap();
    assert_eq!(open(state).await.unwrap().1.len(), 2, "what the error advises works");
}

#[tokio::test]
async fn a_file_that_is_no_journal_and_a_folder_that_cannot_be_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("journal.sqlite"), b"not a database at all").unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Journal { .. }), "{error}");
    assert!(error.to_string().contains("journal.sqlite"), "{error}");
    let error = open(&folder.path().join("missing")).await.unwrap_err();
    assert!(matches!(error, StoreError::Journal { .. }), "{error}");
}
