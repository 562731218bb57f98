//! Uploads that break off, stall, come twice, or are too many.

use std::{num::NonZero, time::Duration};

use federated_proto::v1;
use federated_tests::{
    ClientTls, Fault, FaultProxy, Federation, Job, OpenUpload, RawParticipant, Site, Update, assert_refused,
    model, within,
};
use tokio::task::JoinSet;
use tonic::Code;

/// Values of the model in these tests: several chunks of the usual size.
const FEATURES: u64 = 800_000;

fn large_job(participants: u32) -> Job {
    Job { model: model(FEATURES, 0.0), ..Job::new("heart", participants) }
}

/// Goes on where the coordinator says, and completes.
async fn resumes(raw: &mut RawParticipant, update: &Update) -> v1::SubmitUpdateResponse {
    let query = raw.query(update).await.expect("an answer");
    assert!(query.durable_bytes > 0 && !query.complete, "{query:?}");
    raw.send(update.messages(query.durable_bytes)).await.expect("a receipt")
}

#[tokio::test]
async fn a_truncated_upload_is_refused_and_goes_on_from_where_it_ended() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&large_job(2)).await;
    a.contribute(1.0, 1).await;
    let task = b.line.task().await;
    let update = Update::constant(&task, 3.0, 1);
    let half: Vec<_> = update.messages(0).into_iter().take(3).collect();
    let words = "expected 3200004 bytes, the stream ended after 2097152; go on from there";
    assert_refused(b.raw.send(half).await, Code::InvalidArgument, "UPLOAD_TRUNCATED", words);
    assert_eq!(b.raw.query(&update).await.unwrap().durable_bytes, 2 << 20);
    assert!(!resumes(&mut b.raw, &update).await.duplicate);
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(FEATURES, 2.0));
    assert!(status.incidents.is_empty(), "being cut off is no offence: {:?}", status.incidents);
}

#[tokio::test]
async fn an_upload_whose_connection_breaks_goes_on_over_a_new_one() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut a = Site::join(&federation, "a").await;
    // The first connection attends; the second breaks after a megabyte and a half; the third holds.
    let proxy = FaultProxy::start(federation.address(), [Fault::None, Fault::CutAfter(3 << 19)]).await;
    let tls = ClientTls::from_bundle(&federation.enroll("b"));
    let mut attending = RawParticipant::connect(proxy.address(), &tls).await;
    let mut line = attending.attend().await;
    operator.start(&large_job(2)).await;
    let task = line.task().await;
    let update = Update { step: 64 << 10, ..Update::constant(&task, 3.0, 1) };
    let mut breaking = RawParticipant::connect(proxy.address(), &tls).await;
    breaking.submit(&update).await.expect_err("the connection breaks");
    let mut raw = RawParticipant::connect(proxy.address(), &tls).await;
    let durable = raw.query(&update).await.unwrap().durable_bytes;
    assert!(durable <= 3 << 19, "{durable}");
    let receipt = raw.send(update.messages(durable)).await.expect("a receipt");
    assert!(!receipt.duplicate);
    a.contribute(1.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(FEATURES, 2.0));
    assert_eq!(*proxy.connections().borrow(), 3);
}

#[tokio::test]
async fn an_upload_slower_than_allowed_is_ended_and_may_be_resumed() {
    let federation = Federation::start_with(|limits| limits.stall = Duration::from_millis(700)).await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&large_job(2)).await;
    let task = b.line.task().await;
    let update = Update::constant(&task, 3.0, 1);
    let upload = b.raw.open_upload();
    upload.send(update.first()).await;
    let drops = Update { step: 1, ..update.clone() };
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    for drop in drops.rest(0) {
        pace.tick().await;
        if !upload.send(drop).await {
            break;
        }
    }
    let words = "expected at least 1024 bytes a second, averaged over 700ms, found fewer";
    assert_refused(upload.answer().await, Code::Aborted, "UPLOAD_STALLED", words);
    resumes(&mut b.raw, &update).await;
    a.contribute(1.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(FEATURES, 2.0));
}

#[tokio::test]
async fn an_upload_that_falls_silent_is_ended_wherever_it_is() {
    let federation = Federation::start_with(|limits| limits.stall = Duration::from_millis(500)).await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&large_job(2)).await;
    let task = sites[0].line.task().await;
    let update = Update::constant(&task, 1.0, 1);
    for messages in [0, 1, 2] {
        let upload = sites[0].raw.open_upload();
        for message in update.messages(0).into_iter().take(messages) {
            assert!(upload.send(message).await);
        }
        upload.closed().await;
        assert_refused(upload.answer().await, Code::Aborted, "UPLOAD_STALLED", "query the upload and go on");
    }
    resumes(&mut sites[0].raw, &update).await;
    sites[1].contribute(3.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(FEATURES, 2.0));
}

#[tokio::test]
async fn an_upload_on_a_line_that_stalls_is_ended_and_goes_on_over_another() {
    let federation = Federation::start_with(|limits| limits.stall = Duration::from_millis(700)).await;
    let mut operator = federation.operator().await;
    let mut a = Site::join(&federation, "a").await;
    let proxy = FaultProxy::start(federation.address(), [Fault::None, Fault::StallAfter(1 << 20)]).await;
    let tls = ClientTls::from_bundle(&federation.enroll("b"));
    let mut attending = RawParticipant::connect(proxy.address(), &tls).await;
    let mut line = attending.attend().await;
    operator.start(&large_job(2)).await;
    let update = Update { step: 64 << 10, ..Update::constant(&line.task().await, 3.0, 1) };
    let mut stalling = RawParticipant::connect(proxy.address(), &tls).await;
    let result = stalling.submit(&update).await;
    assert_refused(result, Code::Aborted, "UPLOAD_STALLED", "query the upload and go on from there");
    resumes(&mut attending, &update).await;
    a.contribute(1.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(FEATURES, 2.0));
}

#[tokio::test]
async fn the_same_update_twice_counts_once() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    let update = Update::constant(&a.line.task().await, 1.0, 7);
    assert!(!a.raw.submit(&update).await.unwrap().duplicate);
    let query = a.raw.query(&update).await.unwrap();
    assert!(query.complete, "{query:?}");
    // With all its bytes, from another connection, and with the header alone.
    let again = a.raw.submit(&update).await.unwrap();
    let alone = a.raw.send(vec![update.first()]).await.unwrap();
    for receipt in [again, alone] {
        assert!(receipt.duplicate);
        assert_eq!((&receipt.task, &receipt.digest), (&update.header.task, &update.header.digest));
    }
    b.contribute(4.0, 5).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!(status.history[0].examples, 12);
    assert_eq!(found, model(2, (7.0 + 20.0) / 12.0));
}

#[tokio::test]
async fn another_update_for_the_same_task_is_a_conflict_and_the_first_counts() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    let task = a.contribute(1.0, 1).await;
    let other = Update::constant(&task, 50.0, 1);
    let words = "heart/round 1/attempt 1 already has the update";
    assert_refused(a.raw.submit(&other).await, Code::FailedPrecondition, "UPDATE_CONFLICT", words);
    assert_refused(a.raw.query(&other).await, Code::FailedPrecondition, "UPDATE_CONFLICT", words);
    b.contribute(3.0, 1).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(2, 2.0));
    assert_eq!(status.history[0].examples, 2);
}

#[tokio::test]
async fn a_second_upload_of_the_same_participant_ends_the_first() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&large_job(2)).await;
    let update = Update::constant(&a.line.task().await, 1.0, 1);
    let first = begin(&federation, &a.raw, &update).await;
    let receipt = a.raw.submit(&update).await.expect("a receipt");
    assert!(!receipt.duplicate);
    let words = "the participant began this upload again on another connection";
    assert_refused(first.answer().await, Code::Aborted, "UPLOAD_SUPERSEDED", words);
    b.contribute(3.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(FEATURES, 2.0));
}

#[tokio::test]
async fn asking_how_far_an_upload_got_ends_it_so_that_the_answer_stays_true() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&large_job(2)).await;
    let update = Update::constant(&a.line.task().await, 1.0, 1);
    let first = begin(&federation, &a.raw, &update).await;
    assert_eq!(a.raw.query(&update).await.unwrap().durable_bytes, 1 << 20);
    assert_refused(first.answer().await, Code::Aborted, "UPLOAD_SUPERSEDED", "began this upload again");
    resumes(&mut a.raw, &update).await;
    b.contribute(3.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(FEATURES, 2.0));
}

/// Begins an upload of `a` that stays open after its first chunk.
async fn begin(federation: &Federation, a: &RawParticipant, update: &Update) -> OpenUpload {
    let upload = a.open_upload();
    for message in update.messages(0).into_iter().take(2) {
        assert!(upload.send(message).await);
    }
    federation.spooled("heart", 1, "a", 1 << 20).await;
    upload
}

#[tokio::test]
async fn more_uploads_than_allowed_wait_for_their_turn() {
    let federation = Federation::start_with(|limits| limits.max_uploads = 1.try_into().unwrap()).await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&large_job(2)).await;
    let first = Update::constant(&a.line.task().await, 1.0, 1);
    let upload = begin(&federation, &a.raw, &first).await;
    let second = Update::constant(&b.line.task().await, 3.0, 1);
    let waiting = b.raw.submit(&second);
    let rest = async {
        for message in first.rest(first.step as u64) {
            assert!(upload.send(message).await);
        }
        upload.answer().await.expect("a receipt");
    };
    let (receipt, ()) = tokio::join!(waiting, rest);
    receipt.expect("a receipt");
    assert_eq!(operator.completed("heart").await.1, model(FEATURES, 2.0));
}

#[tokio::test]
async fn uploads_that_share_little_memory_all_come_through() {
    // Room for one piece at a time.
    let federation = Federation::start_with(|limits| limits.upload_memory = NonZero::<usize>::MIN).await;
    let mut operator = federation.operator().await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let sites = Site::join_all(&federation, names).await;
    operator.start(&large_job(8)).await;
    let mut contributing = JoinSet::new();
    for mut site in sites {
        contributing.spawn(async move {
            site.contribute(1.0, 1).await;
            site
        });
    }
    let _attending = within("eight receipts", contributing.join_all()).await;
    assert_eq!(operator.completed("heart").await.1, model(FEATURES, 1.0));
}

#[tokio::test]
async fn chunks_must_follow_one_another() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&large_job(2)).await;
    let update = Update::constant(&a.line.task().await, 1.0, 1);
    let all = update.messages(0);
    let send = |order: &[usize]| order.iter().map(|index| all[*index].clone()).collect::<Vec<_>>();
    let (code, why) = (Code::InvalidArgument, "CHUNK_INVALID");
    let result = a.raw.send(send(&[0, 1, 3])).await;
    assert_refused(result, code, why, "expected a chunk at offset 1048576, found one at 2097152");
    let result = a.raw.send(send(&[0, 1, 1])).await;
    assert_refused(result, code, why, "expected a chunk at offset 1048576, found one at 0");
    let result = a.raw.send(send(&[0, 3])).await;
    let words = "expected a chunk at offset 1048576, found one at 2097152";
    assert_refused(result, code, why, words);
    let result = a.raw.send(send(&[1])).await;
    assert_refused(
        result,
        Code::InvalidArgument,
        "MESSAGE_INVALID",
        "expected a header as the first message, found a chunk",
    );
    let result = a.raw.send(send(&[0, 0])).await;
    assert_refused(
        result,
        Code::InvalidArgument,
        "MESSAGE_INVALID",
        "expected a chunk, found a second header",
    );
    let result = a.raw.send(Vec::new()).await;
    assert_refused(
        result,
        Code::InvalidArgument,
        "MESSAGE_INVALID",
        "expected a header as the first message, found nothing",
    );
    // None of this is about the content: the participant may still answer.
    a.raw.submit(&update).await.expect("a receipt");
    b.contribute(3.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(FEATURES, 2.0));
}
