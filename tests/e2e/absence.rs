//! Participants that go away in the middle of a round.

use federated_proto::v1::MemberState;
use federated_tests::{
    ClientTls, Fault, FaultProxy, Federation, Job, RawParticipant, Site, Update, assert_refused, model,
    reason,
};
use tonic::Code;

#[tokio::test]
async fn the_round_goes_on_without_a_participant_that_stays_away() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b, mut c] = Site::join_all(&federation, ["a", "b", "c"]).await;
    let job = Job { quorum: 2, absence: "200ms", ..Job::new("heart", 3) };
    operator.start(&job).await;
    let task = c.line.task().await;
    drop(c);
    a.contribute(1.0, 1).await;
    let out = |status: &federated_proto::v1::JobStatus| {
        let member = status.cohort.iter().find(|member| member.participant == "c");
        member.is_some_and(|member| member.state() == MemberState::Out)
    };
    let status = operator.until("heart", out).await;
    assert_eq!(status.cohort[2].message, "was disconnected for too long");
    // It comes back too late for this attempt.
    let mut late = Site::join(&federation, "c").await;
    let result = late.raw.submit(&Update::constant(&task, 9.0, 1)).await;
    assert_refused(result, Code::FailedPrecondition, "TASK_OUT", "which was disconnected for too long");
    b.contribute(3.0, 1).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors, ["a", "b"]);
    assert_eq!(found, model(2, 2.0));
}

#[tokio::test]
async fn a_participant_that_comes_back_in_time_gets_the_same_task_and_counts() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut a = Site::join(&federation, "a").await;
    let proxy = FaultProxy::start(federation.address(), []).await;
    let tls = ClientTls::from_bundle(&federation.enroll("b"));
    let mut raw = RawParticipant::connect(proxy.address(), &tls).await;
    let mut line = raw.attend().await;
    operator.start(&Job::new("heart", 2)).await;
    let before = line.task().await;
    proxy.cut();
    let status = line.closed().await;
    assert_eq!(reason(&status), "", "{status:?}");
    let absent = |status: &federated_proto::v1::JobStatus| status.cohort[1].state() == MemberState::Absent;
    operator.until("heart", absent).await;

    let mut raw = RawParticipant::connect(proxy.address(), &tls).await;
    let mut line = raw.attend().await;
    let again = line.task().await;
    assert_eq!((&again.id, again.seed, &again.model), (&before.id, before.seed, &before.model));
    raw.submit(&Update::constant(&again, 3.0, 1)).await.expect("a receipt");
    a.contribute(1.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}

#[tokio::test]
async fn a_participant_whose_update_is_in_may_leave() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    let job = Job { absence: "0s", ..Job::new("heart", 2) };
    operator.start(&job).await;
    a.contribute(1.0, 1).await;
    drop(a);
    operator.present(&["b"]).await;
    b.contribute(3.0, 1).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors, ["a", "b"]);
    assert_eq!(found, model(2, 2.0));
    // It hears of the end when it comes back.
    let mut back = Site::join(&federation, "a").await;
    assert_eq!(back.line.ended().await.job, "heart");
}

#[tokio::test]
async fn an_abandoned_round_is_tried_again_when_enough_are_back() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, b] = Site::join_all(&federation, ["a", "b"]).await;
    let job = Job { absence: "100ms", ..Job::new("heart", 2) };
    operator.start(&job).await;
    a.contribute(50.0, 1).await;
    drop(b);
    let status = operator.until("heart", |status| status.attempt == 2).await;
    let expected =
        "the quorum of 2 cannot be met: at most 1 updates can come; b was disconnected for too long";
    assert_eq!(status.history[0].message, expected);
    assert!(status.history[0].contributors.is_empty());
    let mut b = Site::join(&federation, "b").await;
    a.contribute(1.0, 1).await;
    b.contribute(3.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0), "the first attempt left no trace");
}

#[tokio::test]
async fn a_slow_line_is_only_slow() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut a = Site::join(&federation, "a").await;
    let delay = Fault::Delay(std::time::Duration::from_millis(30));
    let proxy = FaultProxy::start(federation.address(), [delay]).await;
    let tls = ClientTls::from_bundle(&federation.enroll("b"));
    let mut raw = RawParticipant::connect(proxy.address(), &tls).await;
    let line = raw.attend().await;
    operator.start(&Job::new("heart", 2)).await;
    Site { raw, line }.contribute(3.0, 1).await;
    a.contribute(1.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}

#[tokio::test]
async fn a_later_session_of_the_same_participant_ends_the_earlier_one() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut a = Site::join(&federation, "a").await;
    let mut first = federation.participant("b").await;
    let mut earlier = first.attend().await;
    let mut later = first.attend().await;
    let status = earlier.closed().await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "SUPERSEDED_SESSION"));
    assert!(status.message().contains("one process per certificate"), "{status:?}");
    operator.start(&Job::new("heart", 2)).await;
    let task = later.task().await;
    first.submit(&Update::constant(&task, 3.0, 1)).await.expect("a receipt");
    a.contribute(1.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}
