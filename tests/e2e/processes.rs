//! Participants and coordinators as processes of their own, and what is left when one is killed.

use std::{path::Path, process::Stdio};

use federated_proto::v1::MemberState;
use federated_tests::{AddConstant, Client, Federation, Job, Site, TRAINS, model, within};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

fn participant(bundle: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_participant-under-test"))
        .arg(bundle)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a process")
}

async fn says(process: &mut Child, words: &str) {
    let mut lines = BufReader::new(process.stdout.as_mut().expect("a pipe")).lines();
    let wait = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if line == words {
                return;
            }
        }
        panic!("the process ended without {words:?}");
    };
    within(words, wait).await;
}

#[tokio::test]
async fn the_round_goes_on_without_a_participant_that_is_killed_while_it_trains() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    let mut process = participant(&federation.enroll("c"));
    operator.present(&["a", "b", "c"]).await;
    operator.start(&Job { quorum: 2, absence: "100ms", ..Job::new("heart", 3) }).await;
    says(&mut process, TRAINS).await;
    process.kill().await.expect("a process to kill");
    let out = |status: &federated_proto::v1::JobStatus| status.cohort[2].state() == MemberState::Out;
    let status = operator.until("heart", out).await;
    assert_eq!(status.cohort[2].message, "was disconnected for too long");
    a.contribute(1.0, 1).await;
    b.contribute(3.0, 1).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors, ["a", "b"]);
    assert_eq!(found, model(2, 2.0));
}

#[tokio::test]
async fn a_participant_that_is_killed_and_started_again_in_time_counts() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut a = Site::join(&federation, "a").await;
    let bundle = federation.enroll("b");
    let mut process = participant(&bundle);
    operator.present(&["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    says(&mut process, TRAINS).await;
    process.kill().await.expect("a process to kill");
    // Its folder is free at once, and the coordinator still waits for it.
    let again = Client::start(&bundle, AddConstant::new(3.0, 1));
    a.contribute(1.0, 1).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!((found, status.history[0].attempt), (model(2, 2.0), 1));
    again.ended().await.unwrap();
}
