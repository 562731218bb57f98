//! The library's participant over lines that break, and with coordinators that come and go.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use federated_client::event::ParticipantEvent;
use federated_proto::v1::MemberState;
use federated_tests::{AddConstant, Client, Fault, FaultProxy, Federation, Gate, Job, Operator, model};

const FEATURES: u64 = 800_000;

fn job() -> Job {
    Job { model: model(FEATURES, 0.5), ..Job::new("heart", 2) }
}

fn submitted(event: &ParticipantEvent) -> Option<bool> {
    match event {
        ParticipantEvent::Submitted { duplicate, .. } => Some(*duplicate),
        _ => None,
    }
}

/// A federation with `a` on a good line and a bundle for `b` on one with `faults`.
async fn with_faults<const N: usize>(faults: [Fault; N]) -> (Federation, FaultProxy, Client, PathBuf) {
    let federation = Federation::start().await;
    let proxy = FaultProxy::start(federation.address(), faults).await;
    let a = Client::start(&federation.enroll("a"), AddConstant::new(1.0, 1));
    let bundle = federation.enroll_at("b", &proxy.url());
    (federation, proxy, a, bundle)
}

/// Both complete the job, with the update that `b` made in one training.
async fn completes(mut operator: Operator, clients: [Client; 2], times: &Arc<AtomicU32>) {
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(FEATURES, 2.5));
    assert_eq!(
        (status.history.len(), status.history[0].contributors.as_slice()),
        (1, &["a".to_owned(), "b".to_owned()][..])
    );
    assert!(status.incidents.is_empty(), "{:?}", status.incidents);
    assert_eq!(times.load(Ordering::SeqCst), 1, "a task is trained once, whatever happens to the line");
    for client in clients {
        client.ended().await.unwrap();
    }
}

#[tokio::test]
async fn a_download_that_breaks_goes_on_over_the_next_connection() {
    let (federation, proxy, a, bundle) = with_faults([Fault::CutDownAfter(3 << 19); 2]).await;
    let trainer = AddConstant::new(3.0, 1);
    let times = trainer.times();
    let b = Client::start(&bundle, trainer);
    let mut operator = federation.operator().await;
    operator.present(&["a", "b"]).await;
    operator.start(&job()).await;
    completes(operator, [a, b], &times).await;
    // 3.2 MB in pieces of at most 1.5 MB: without going on it would never have come through.
    assert_eq!(*proxy.connections().borrow(), 3);
}

#[tokio::test]
async fn an_upload_that_breaks_goes_on_over_the_next_connection() {
    let (federation, proxy, a, bundle) = with_faults([Fault::CutAfter(3 << 19); 2]).await;
    let trainer = AddConstant::new(3.0, 1);
    let times = trainer.times();
    let mut b = Client::start(&bundle, trainer);
    let mut operator = federation.operator().await;
    operator.present(&["a", "b"]).await;
    operator.start(&job()).await;
    assert!(!b.event("the receipt", submitted).await);
    completes(operator, [a, b], &times).await;
    assert_eq!(*proxy.connections().borrow(), 3);
}

#[tokio::test]
async fn training_goes_on_while_the_line_is_down() {
    let (federation, proxy, a, bundle) = with_faults([]).await;
    let (trainer, mut gate) = AddConstant::gated(3.0, 1);
    let times = trainer.times();
    let mut b = Client::start(&bundle, trainer);
    let mut operator = federation.operator().await;
    operator.present(&["a", "b"]).await;
    operator.start(&job()).await;
    gate.begun().await;
    proxy.cut();
    b.disconnected().await;
    b.connected().await;
    operator
        .until("heart", |status| status.cohort.iter().any(|member| member.state() == MemberState::Reported))
        .await;
    gate.go();
    completes(operator, [a, b], &times).await;
}

/// A federation in which `a` has its receipt and `b` trains.
async fn in_the_middle_of_a_round() -> (Federation, [Client; 2], PathBuf, Gate, Arc<AtomicU32>) {
    let federation = Federation::start().await;
    let (trainer, mut gate) = AddConstant::gated(3.0, 1);
    let times = trainer.times();
    let mut a = Client::start(&federation.enroll("a"), AddConstant::new(1.0, 1));
    let bundle = federation.enroll("b");
    let b = Client::start(&bundle, trainer);
    let mut operator = federation.operator().await;
    operator.present(&["a", "b"]).await;
    operator.start(&job()).await;
    gate.begun().await;
    a.event("the receipt", submitted).await;
    (federation, [a, b], bundle, gate, times)
}

#[tokio::test]
async fn a_coordinator_that_is_killed_while_a_participant_trains_gets_the_update_after_its_restart() {
    let (mut federation, [mut a, mut b], _, gate, times) = in_the_middle_of_a_round().await;
    federation.kill().await;
    a.disconnected().await;
    b.disconnected().await;
    gate.go();
    b.event("the end of the training", |event| {
        matches!(event, ParticipantEvent::Trained { .. }).then_some(())
    })
    .await;
    federation.serve().await;
    completes(federation.operator().await, [a, b], &times).await;
}

#[tokio::test]
async fn a_participant_that_crashed_after_training_delivers_what_it_has() {
    let (mut federation, [a, mut b], bundle, gate, times) = in_the_middle_of_a_round().await;
    federation.kill().await;
    b.disconnected().await;
    gate.go();
    b.event("the end of the training", |event| {
        matches!(event, ParticipantEvent::Trained { .. }).then_some(())
    })
    .await;
    drop(b);
    federation.serve().await;
    // The trainer of the new process would add something else, if it were asked.
    let other = AddConstant::new(100.0, 1);
    let unasked = other.times();
    let b = restarted(&bundle, other).await;
    completes(federation.operator().await, [a, b], &times).await;
    assert_eq!(unasked.load(Ordering::SeqCst), 0);
}

/// Starts a participant again; its former session gives the state folder free as soon as it is gone.
async fn restarted(bundle: &std::path::Path, trainer: AddConstant) -> Client {
    let folder = Client::config(bundle).state;
    let free = async {
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(5));
        while federated_client::state::StateFolder::open(&folder).is_err() {
            pace.tick().await;
        }
    };
    federated_tests::within("the state folder to be free", free).await;
    Client::start(bundle, trainer)
}

#[tokio::test]
async fn a_participant_that_was_stopped_while_it_trained_begins_again() {
    let (federation, [a, b], bundle, _gate, times) = in_the_middle_of_a_round().await;
    b.stop().await.unwrap();
    assert_eq!(times.load(Ordering::SeqCst), 1);
    let again = AddConstant::new(3.0, 1);
    let times = again.times();
    let b = restarted(&bundle, again).await;
    completes(federation.operator().await, [a, b], &times).await;
}

#[tokio::test]
async fn a_participant_waits_for_a_coordinator_that_is_not_there_yet() {
    let mut federation = Federation::start().await;
    let bundles = ["a", "b"].map(|name| federation.enroll(name));
    federation.stop().await;
    let (one, three) = (AddConstant::new(1.0, 1), AddConstant::new(3.0, 1));
    let times = three.times();
    let mut clients = [Client::start(&bundles[0], one), Client::start(&bundles[1], three)];
    for client in &mut clients {
        let why = client.disconnected().await;
        assert!(why.contains("cannot reach 127.0.0.1"), "{why}");
    }
    federation.serve().await;
    let mut operator = federation.operator().await;
    operator.present(&["a", "b"]).await;
    operator.start(&job()).await;
    completes(operator, clients, &times).await;
}
