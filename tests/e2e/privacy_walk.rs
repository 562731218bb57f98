//! In a job with differential privacy nobody is told anything that has no noise: every answer of every call is looked through.

use std::{collections::BTreeSet, fs, path::Path};

use federated_client::config::{ParticipantConfig, SiteBudget};
use federated_core::{
    model::bytes_of,
    privacy::dp::{Delta, Epsilon},
};
use federated_proto::v1;
use federated_tests::{Client, Federation, Job, Site, Update, model};
use prost::Message;

/// What each site sends, and so what a mean without noise would be made of: of a thousand such values, whose norm is below 1.
const VALUE: f32 = 0.012_345_678;
/// The examples that it says it has.
const EXAMPLES: u64 = 7_654_321;
/// The metric that it reports.
const LOSS: f64 = 0.123_456_789_012_345;

/// What must not be found anywhere, in the forms in which messages and files have it.
fn secrets() -> Vec<(&'static str, Vec<u8>)> {
    let varint = |number: u64| {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(number, &mut bytes);
        bytes
    };
    vec![
        ("a value of an update, and of the mean", VALUE.to_le_bytes().to_vec()),
        ("a metric", LOSS.to_le_bytes().to_vec()),
        ("a metric in words", b"0.1234567890".to_vec()),
        ("examples of one", varint(EXAMPLES)),
        ("examples of all", varint(2 * EXAMPLES)),
        ("examples in words", EXAMPLES.to_string().into_bytes()),
    ]
}

/// Looks through bytes that somebody was told.
fn look_through(told: &[u8], whom: &str) {
    for (what, secret) in secrets() {
        let found = told.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "{whom} shows {what}");
    }
}

fn walk(folder: &Path, seen: &mut u32) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, seen);
        } else if let Ok(bytes) = fs::read(&path) {
            look_through(&bytes, &path.display().to_string());
            *seen += 1;
        }
    }
}

/// The names of all calls in the protocol's own files.
fn all_calls() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/federated/v1");
    let mut calls = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let names = text.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split_once('('));
        calls.extend(names.map(|(name, _)| name.to_owned()));
    }
    calls
}

#[test]
fn what_is_looked_for_is_found_where_it_is() {
    let header = v1::UpdateHeader {
        examples: EXAMPLES,
        metrics: [("loss".to_owned(), LOSS)].into(),
        ..v1::UpdateHeader::default()
    };
    for (told, what) in [
        (header.encode_to_vec(), "a header"),
        (bytes_of(&[0.0, VALUE]).to_vec(), "values"),
        (format!("loss {LOSS}").into_bytes(), "words"),
    ] {
        let shown = std::panic::catch_unwind(|| look_through(&told, what));
        assert!(shown.is_err(), "{what}");
    }
}

/// A site that sends what a participant of this library would never send: everything, without noise.
async fn contribute(site: &mut Site) -> v1::TrainTask {
    let task = site.line.task().await;
    let mut update = Update::constant(&task, VALUE, EXAMPLES);
    update.header.metrics.insert("loss".to_owned(), LOSS);
    site.raw.submit(&update).await.expect("a receipt");
    task
}

#[tokio::test]
async fn no_answer_and_no_file_shows_what_has_no_noise() {
    let federation = Federation::signing(|builder, _| builder).await;
    let mut operator = federation.operator().await;
    let mut calls = operator.raw().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    let privacy = "placement = \"central\"\nepsilon = 4.0\ndelta = 1e-5\nclip = 1.0".to_owned();
    let job = Job { rounds: 2, privacy, model: model(999, 0.0), ..Job::new("heart", 2) };
    let mut walked = BTreeSet::new();
    let mut told = |call: &str, bytes: &[u8]| {
        look_through(bytes, call);
        walked.insert(call.to_owned());
    };

    operator.start(&job).await;
    told("StartJob", b"");
    let one = || v1::GetStatusRequest { job: "heart".to_owned() };
    let mut watch = calls.watch_status(one()).await.unwrap().into_inner();
    for round in 1..=2 {
        for site in &mut sites {
            let task = contribute(site).await;
            told("Attend", &task.encode_to_vec());
            let model = task.model.clone().unwrap();
            for chunk in site.raw.fetch(&model.digest, 0).await.unwrap() {
                told("FetchModel", &chunk.encode_to_vec());
            }
            // The site itself knows what it sends: its receipt is looked through all the same.
            let update = Update::constant(&task, VALUE, EXAMPLES);
            if let Ok(answer) = site.raw.query(&update).await {
                told("QueryUpload", &answer.encode_to_vec());
            }
            if let Ok(receipt) = site.raw.submit(&update).await {
                told("SubmitUpdate", &receipt.encode_to_vec());
            }
            let negotiated = site.raw.negotiate(0, 3).await.unwrap();
            told("Negotiate", &negotiated.encode_to_vec());
        }
        let report = operator.until("heart", |status| status.history.len() == round).await;
        told("GetStatus", &report.encode_to_vec());
    }
    let (status, model) = operator.completed("heart").await;
    told("DownloadModel", bytes_of(model.values()));
    told("GetStatus", &calls.get_status(one()).await.unwrap().into_inner().encode_to_vec());
    for site in &mut sites {
        told("Attend", &site.line.ended().await.encode_to_vec());
    }
    // The watcher has seen every state on the way; the last one is the end.
    while let Some(report) = watch.message().await.unwrap() {
        told("WatchStatus", &report.encode_to_vec());
        if report.jobs[0].state() == v1::JobState::Completed {
            break;
        }
    }
    for refusal in [
        calls.stop_job(v1::StopJobRequest { job: "heart".to_owned() }).await.map(drop),
        calls.pause_job(v1::PauseJobRequest { job: "heart".to_owned() }).await.map(drop),
        calls.resume_job(v1::ResumeJobRequest { job: "heart".to_owned() }).await.map(drop),
        calls.retry_job(v1::RetryJobRequest { job: "heart".to_owned() }).await.map(drop),
        sites[0].raw.client().decline_task(v1::DeclineTaskRequest::default()).await.map(drop),
        sites[0].raw.client().answer_session(v1::AnswerSessionRequest::default()).await.map(drop),
    ] {
        let refusal = refusal.unwrap_err();
        look_through(format!("{refusal:?}").as_bytes(), "a refusal");
        look_through(refusal.details(), "the details of a refusal");
    }
    walked.extend(
        ["StopJob", "PauseJob", "ResumeJob", "RetryJob", "DeclineTask", "AnswerSession"].map(str::to_owned),
    );
    assert_eq!(walked, all_calls(), "a call of the protocol that this test does not look through");

    assert_eq!(status.history.len(), 2);
    drop(operator);
    let mut federation = federation;
    federation.stop().await;
    let mut files = 0;
    walk(&federation.folder().join("state"), &mut files);
    assert!(files > 2, "the models, the journal and the ledger were looked through");
}

/// The library's own participant sends nothing of the kind: what reaches the coordinator's spool is looked through.
#[tokio::test]
async fn a_participants_update_leaves_clipped_and_alone() {
    let federation = Federation::signing(|builder, _| builder).await;
    let mut operator = federation.operator().await;
    let config = Client::config(&federation.enroll("a"));
    let (epsilon, delta) = (Epsilon::new(50.0).unwrap(), Delta::new(1e-5).unwrap());
    let privacy = Some(SiteBudget::new(epsilon, delta, config.state.with_file_name("privacy")));
    let config = ParticipantConfig { privacy, ..config };
    let _client = Client::start_with(config, federated_tests::AddConstant::new(1.0, EXAMPLES));
    // Another one is awaited, so that the update stays in the spool.
    let _waiting = Site::join(&federation, "b").await;
    operator.present(&["a", "b"]).await;
    let privacy = "placement = \"central\"\nepsilon = 4.0\ndelta = 1e-5\nclip = 1.0".to_owned();
    operator.start(&Job { privacy, model: model(99, 0.0), ..Job::new("heart", 2) }).await;
    operator
        .until("heart", |status| {
            status.cohort.iter().any(|member| member.state() == v1::MemberState::Reported)
        })
        .await;
    let spool = federation.folder().join("state/updates/heart/1-1");
    let stored: Vec<Vec<u8>> =
        fs::read_dir(spool).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    // A hundred values of 1, clipped to a norm of 1: 0.1 each, rounded towards zero.
    let clipped = (0.1_f32.next_down()).to_le_bytes();
    assert!(stored.iter().any(|file| file.ends_with(&clipped)), "the update is there");
    for file in stored {
        look_through(&file, "the spool");
        assert!(!file.windows(4).any(|window| window == 1.0_f32.to_le_bytes()), "the update as it was");
    }
}
