//! The journal in SQLite: a commit of one entry and of many, beside the same bytes appended to a file and synced; and how
//! fast a job is read back.

use std::{fs::File, hint::black_box, io::Write};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use federated_core::{
    checkpoint,
    config::JobConfig,
    ids::{Digest, JobName, ParticipantName},
    job::{Entry, JobEvent, JobTerms},
    model::{ModelLayout, TensorSpec},
    round::Event,
    time::Timestamp,
};
use federated_server::store::journal::{Journal, sqlite::SqliteMetadata};
use tokio::runtime::Runtime;

const JOB: &str = r#"
name = "job"
rounds = 3
model = { initial = "initial.safetensors" }
strategy = { kind = "fedavg", local_epochs = 1, batch_size = 8, learning_rate = 0.1 }
cohort = { min_participants = 1000, quorum = 1 }
"#;
/// Entries of the job that is read back: as many as a hundred rounds with a hundred participants have.
const ENTRIES: u64 = 10_000;

fn start() -> Entry {
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [4])]).expect("a layout");
    let terms = JobTerms::new(JobConfig::parse(JOB).expect("a job file"), layout, Digest::of(b"initial"));
    let event = JobEvent::Created { terms: Box::new(terms), present: [].into() };
    Entry { at: Timestamp::from_millis(0), event }
}

/// Somebody comes or goes.
fn entry(number: u64) -> Entry {
    let participant: ParticipantName = format!("site-{}", number % 200).parse().expect("a name");
    let event = if number % 400 < 200 { Event::Joined(participant) } else { Event::Left(participant) };
    Entry { at: Timestamp::from_millis(number), event: JobEvent::Round(event) }
}

fn journal(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let job: JobName = "job".parse().expect("a name");
    let open = || {
        runtime.block_on(async {
            let store = SqliteMetadata::open(folder.path()).await.expect("a journal");
            Journal::load(Box::new(store)).await.expect("a journal")
        })
    };
    let (mut journal, _) = open();
    journal.push(&job, &start()).expect("an entry");
    let mut file = File::create(folder.path().join("floor")).expect("a file");
    let mut group = c.benchmark_group("journal");
    for count in [1, 64] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("commit", count), |b| {
            b.iter(|| {
                (0..count).for_each(|number| journal.push(&job, &entry(number)).expect("an entry"));
                runtime.block_on(journal.commit()).expect("a commit");
            });
        });
        group.bench_function(BenchmarkId::new("floor: append and sync", count), |b| {
            b.iter(|| {
                let encoded = (0..count).map(|number| checkpoint::encode(&entry(number)).expect("bytes"));
                file.write_all(&encoded.collect::<Vec<_>>().concat()).expect("a write");
                file.sync_data().expect("a sync");
            });
        });
    }
    runtime.block_on(journal.remove(&job)).expect("a removal");
    journal.push(&job, &start()).expect("an entry");
    (1..ENTRIES).for_each(|number| journal.push(&job, &entry(number)).expect("an entry"));
    runtime.block_on(journal.commit()).expect("a commit");
    runtime.block_on(journal.close());
    group.throughput(Throughput::Elements(ENTRIES));
    group.bench_function("read back", |b| b.iter(|| black_box(open().1)));
    group.finish();
}

criterion_group!(benches, journal);
criterion_main!(benches);
