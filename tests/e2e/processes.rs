//! Participants and coordinators as processes of their own, and what is left when one is killed.
//!
//! The processes are this test program itself, told to run one of the tests below that are ignored otherwise.

use std::{env, path::Path, process::Stdio};

use federated_client::FederatedClient;
use federated_proto::v1::MemberState;
use federated_tests::{AddConstant, Client, Federation, Job, Site, model, within};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

const BUNDLE: &str = "FEDERATED_TESTS_BUNDLE";
const TRAINS: &str = "it trains";

/// Takes part with the bundle in the environment, says when it trains, and never ends its training.
#[tokio::test]
#[ignore = "the process of a participant, started by other tests"]
async fn a_participants_process() {
    let Some(bundle) = env::var_os(BUNDLE) else { return };
    let (trainer, mut gate) = AddConstant::gated(100.0, 1);
    let client = FederatedClient::builder().config(Client::config(Path::new(&bundle))).trainer(trainer);
    let running = tokio::spawn(client.build().expect("a participant").run());
    gate.begun().await;
    println!("\n{TRAINS}");
    running.await.expect("no panic").expect("a participant that runs until it is killed");
}

fn participant(bundle: &Path) -> Child {
    Command::new(env::current_exe().expect("this program"))
        .args(["processes::a_participants_process", "--exact", "--ignored", "--nocapture"])
        .env(BUNDLE, bundle)
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
