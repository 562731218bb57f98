//! The coordinator ends in the middle of a round and is started again.

use federated_core::model::ModelParameters;
use federated_proto::v1::JobState;
use federated_server::{FederatedServer, config::CoordinatorConfig};
use federated_tests::{
    ClientTls, Federation, Job, RawParticipant, Site, Update, assert_refused, model, reason, within,
};
use tonic::Code;

const FEATURES: u64 = 300_000;

fn job() -> Job {
    Job { rounds: 2, model: model(FEATURES, 0.25), ..Job::new("heart", 3) }
}

fn answer(task: &federated_proto::v1::TrainTask, which: usize) -> Update {
    let count = task.model.as_ref().unwrap().size_bytes / 4;
    let values: Vec<f32> = (0..count).map(|n| [0.1, -0.7, 0.03][which] * (1.0 + n as f32)).collect();
    Update { step: 256 << 10, ..Update::of(task, &values, [3, 5, 11][which]) }
}

/// What the job gives when nothing happens.
async fn undisturbed() -> ModelParameters {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b", "c"]).await;
    operator.start(&job()).await;
    for _ in 1..=2 {
        for (which, site) in sites.iter_mut().enumerate() {
            let task = site.line.task().await;
            site.raw.submit(&answer(&task, which)).await.expect("a receipt");
        }
    }
    operator.completed("heart").await.1
}

#[tokio::test]
async fn a_coordinator_that_is_killed_while_participants_train_goes_on_where_it_was() {
    let mut federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b", "c"]).await;
    operator.start(&job()).await;
    let mut updates = Vec::new();
    for (which, site) in sites.iter_mut().enumerate() {
        updates.push(answer(&site.line.task().await, which));
    }
    // One has its receipt, one is in the middle of its upload, one still trains.
    let [a, b, _] = &mut sites;
    a.raw.submit(&updates[0]).await.expect("a receipt");
    let upload = b.raw.open_upload();
    for message in updates[1].messages(0).into_iter().take(3) {
        assert!(upload.send(message).await);
    }
    federation.spooled("heart", 1, "b", 512 << 10).await;
    federation.kill().await;
    for site in &mut sites {
        let status = site.line.closed().await;
        assert_eq!(reason(&status), "", "a killed coordinator says nothing: {status:?}");
    }
    upload.answer().await.expect_err("the connection is gone");

    federation.serve().await;
    let mut operator = federation.operator().await;
    let status = operator.status("heart").await;
    assert_eq!((status.state(), status.round, status.attempt), (JobState::Training, 1, 1));
    for site in &mut sites {
        site.line = site.raw.attend().await;
    }
    let [a, b, c] = &mut sites;
    assert!(a.raw.query(&updates[0]).await.unwrap().complete, "a receipt means never lost");
    assert!(a.raw.submit(&updates[0]).await.unwrap().duplicate);
    assert_eq!(b.line.task().await.id, updates[1].header.task, "the task is the same task");
    let durable = b.raw.query(&updates[1]).await.unwrap().durable_bytes;
    assert_eq!(durable, 512 << 10);
    b.raw.send(updates[1].messages(durable)).await.expect("a receipt");
    assert_eq!(c.line.task().await.id, updates[2].header.task);
    c.raw.submit(&updates[2]).await.expect("a receipt");
    for (which, site) in sites.iter_mut().enumerate() {
        let task = site.line.task().await;
        assert_eq!(task.id.as_ref().unwrap().round, 2);
        site.raw.submit(&answer(&task, which)).await.expect("a receipt");
    }
    let (status, found) = operator.completed("heart").await;
    assert!(status.history.iter().all(|round| round.attempt == 1), "{:?}", status.history);
    assert_eq!(found.digest(), undisturbed().await.digest());
}

#[tokio::test]
async fn a_job_survives_a_kill_after_every_step() {
    let mut federation = Federation::start().await;
    let bundles = ["a", "b"].map(|name| ClientTls::from_bundle(&federation.enroll(name)));
    let small = Job { rounds: 2, ..Job::new("heart", 2) };
    federation.operator().await.start(&small).await;
    for round in 1..=2 {
        for (tls, value) in bundles.iter().zip([1.0, 3.0]) {
            federation.kill().await;
            federation.serve().await;
            let mut sites = Vec::new();
            for tls in &bundles {
                let mut raw = RawParticipant::connect(federation.address(), tls).await;
                let line = raw.attend().await;
                sites.push(Site { raw, line });
            }
            let which = usize::from(value == 3.0);
            let task = sites[which].contribute(value, 1).await;
            assert_eq!(task.id.unwrap().round, round);
            drop((tls, sites));
        }
    }
    let mut operator = federation.operator().await;
    assert_eq!(operator.completed("heart").await.1, model(2, 4.0));
    federation.kill().await;
    federation.serve().await;
    let (status, found) = federation.operator().await.completed("heart").await;
    assert_eq!((found, status.history.len()), (model(2, 4.0), 2));
    // Both were away when the job ended, and hear of it now.
    for tls in &bundles {
        let mut raw = RawParticipant::connect(federation.address(), tls).await;
        assert_eq!(raw.attend().await.ended().await.job, "heart");
    }
}

#[tokio::test]
async fn a_coordinator_that_stops_says_so_and_can_be_started_again() {
    let mut federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    sites[0].contribute(1.0, 1).await;
    federation.stop().await;
    for site in &mut sites {
        let status = site.line.closed().await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    }
    federation.serve().await;
    for site in &mut sites {
        site.line = site.raw.attend().await;
    }
    sites[1].contribute(3.0, 1).await;
    assert_eq!(federation.operator().await.completed("heart").await.1, model(2, 2.0));
}

#[tokio::test]
async fn a_coordinator_that_has_stopped_lets_go_of_its_folder_whatever_its_peers_still_do() {
    let mut federation = Federation::start().await;
    let bundle = federation.enroll("a");
    let mut operator = federation.operator().await;
    let single = Job { min_participants: 1, quorum: 1, ..job() };
    operator.start(&single).await;
    federation.stop().await;
    // Embedded in this very runtime, as in an application of its own.
    let mut config = CoordinatorConfig::in_dir(&federation.folder()).unwrap();
    config.listen = ([127, 0, 0, 1], 0).into();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let server = FederatedServer::builder().config(config.clone()).shutdown(shutdown).build().await;
    let server = server.expect("the folder is free");
    let address = server.local_addr().unwrap();
    let running = tokio::spawn(server.run());
    let mut raw = RawParticipant::connect(address, &ClientTls::from_bundle(&bundle)).await;
    let update = answer(&raw.attend().await.task().await, 0);
    let upload = raw.open_upload();
    for message in update.messages(0).into_iter().take(2) {
        assert!(upload.send(message).await);
    }
    federation.spooled("heart", 1, "a", 256 << 10).await;
    stop.send(()).unwrap();
    within("the coordinator to stop", running).await.unwrap().unwrap();
    FederatedServer::builder().config(config).build().await.expect("the folder is free again");
    // This side has closed nothing: the coordinator did.
    within("the connection to end", upload.closed()).await;
    assert_eq!(reason(&upload.answer().await.expect_err("no receipt")), "");
}

#[tokio::test]
async fn two_coordinators_cannot_share_a_folder() {
    let federation = Federation::start().await;
    let mut config = CoordinatorConfig::in_dir(&federation.folder()).unwrap();
    config.listen = ([127, 0, 0, 1], 0).into();
    let second = FederatedServer::builder().config(config).build().await;
    let error = second.expect_err("the folder is in use").to_string();
    assert!(error.contains("another coordinator"), "{error}");
}

#[tokio::test]
async fn an_update_that_lost_its_round_while_the_coordinator_was_away_is_refused() {
    let mut federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    let job = Job { absence: "0s", attempts: 1, ..Job::new("heart", 2) };
    operator.start(&job).await;
    let task = sites[0].line.task().await;
    federation.kill().await;
    federation.serve().await;
    // Nobody was connected at the restart, so nobody's absence is forgiven by this job.
    let status = federation.operator().await.ended("heart").await;
    assert_eq!(status.state(), JobState::Failed);
    let result = sites[0].raw.submit(&Update::constant(&task, 1.0, 1)).await;
    assert_refused(result, Code::FailedPrecondition, "ROUND_CLOSED", "takes no more updates");
}
