//! Rounds in which everyone does what they should.

use federated_core::model::ModelParameters;
use federated_proto::v1::{JobOutcome, JobState};
use federated_tests::{Federation, Job, Operator, Site, Update, assert_refused, model};
use tonic::Code;

#[tokio::test]
async fn three_participants_train_three_rounds_and_the_model_is_the_exact_mean() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b", "c"]).await;
    let job = Job { rounds: 3, model: model(2, 1.0), ..Job::new("heart", 3) };
    operator.start(&job).await;
    // The mean with the example counts as weights is (1 * 4 + 2 * 8 + 5 * 0.5) / 8 = 2.8125.
    for round in 1..=3 {
        for (site, (value, examples)) in sites.iter_mut().zip([(4.0, 1), (8.0, 2), (0.5, 5)]) {
            let task = site.contribute(value, examples).await;
            assert_eq!((task.id.unwrap().round, task.rounds, task.cohort_size), (round, 3, 3));
        }
    }
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(2, 1.0 + 3.0 * 2.8125));
    assert_eq!(status.history.len(), 3);
    for round in &status.history {
        assert_eq!(round.contributors, ["a", "b", "c"]);
        assert_eq!((round.examples, round.metrics["loss"]), (8, 2.8125));
    }
    assert_eq!(status.bytes_up, 3 * 3 * 12);
    for site in &mut sites {
        let ended = site.line.ended().await;
        assert_eq!((ended.job.as_str(), ended.outcome()), ("heart", JobOutcome::Completed));
        assert_eq!(ended.model, status.model);
    }
}

#[tokio::test]
async fn the_model_does_not_depend_on_who_answers_first() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b", "c"]).await;
    let mut models = Vec::new();
    // One job after another, the same answers in another order.
    for (name, order) in [("first", [0, 1, 2]), ("second", [2, 0, 1]), ("third", [1, 2, 0])] {
        let job = Job { model: model(150_000, 0.1), ..Job::new(name, 3) };
        operator.start(&job).await;
        for which in order {
            answer_unevenly(&mut sites[which], which).await;
        }
        models.push(operator.completed(name).await.1);
    }
    let digests: Vec<_> = models.iter().map(ModelParameters::digest).collect();
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
}

/// An update whose values have no short binary form, so that the order of additions would show.
async fn answer_unevenly(site: &mut Site, which: usize) {
    let task = site.line.task().await;
    let elements = task.model.as_ref().unwrap().size_bytes / 4;
    let scale = [1.0e-3, 7.0, -3.3][which];
    let values: Vec<f32> = (0..elements).map(|n| scale * (0.1 + n as f32 / 3.0)).collect();
    let update =
        Update { step: [1 << 20, 100_003, 70_001][which], ..Update::of(&task, &values, [3, 11, 7][which]) };
    site.raw.submit(&update).await.expect("a receipt");
}

#[tokio::test]
async fn with_over_selection_the_first_to_answer_count_and_the_others_are_told() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b", "c", "d"]).await;
    let job = Job { rounds: 2, fraction: 0.5, over_selection: 2.0, quorum: 2, ..Job::new("heart", 4) };
    operator.start(&job).await;
    let [a, b, c, d] = &mut sites;
    let late = c.line.task().await;
    assert_eq!(late.cohort_size, 4);
    a.contribute(2.0, 1).await;
    d.contribute(4.0, 1).await;
    for site in [&mut *b, c] {
        let withdrawn = site.line.withdrawn().await;
        assert_eq!((withdrawn.reason.as_str(), &withdrawn.id), ("ROUND_CLOSED", &late.id));
    }
    for site in [&mut *b, c] {
        site.contribute(1.0, 1).await;
    }
    let result = c.raw.submit(&Update::constant(&late, 9.0, 9)).await;
    assert_refused(result, Code::FailedPrecondition, "TASK_FINISHED", "heart/round 1/attempt 1 is over");
    let (status, found) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors, ["a", "d"]);
    assert_eq!(status.history[1].contributors, ["b", "c"]);
    assert_eq!(found, model(2, 4.0));
}

#[tokio::test]
async fn a_round_begins_when_enough_participants_are_present() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut a = Site::join(&federation, "a").await;
    operator.start(&Job::new("heart", 2)).await;
    let status = operator.status("heart").await;
    assert_eq!(status.state(), JobState::Gathering);
    assert_eq!(status.message, "waits for participants: 2 are needed, 1 are present");
    let mut b = Site::join(&federation, "b").await;
    a.contribute(1.0, 1).await;
    b.contribute(3.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}

#[tokio::test]
async fn no_update_stays_on_disk_when_its_job_is_over() {
    let mut federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, _b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    a.contribute(1.0, 1).await;
    let updates = federation.folder().join("state/updates/heart");
    assert!(updates.join("1-1/a.update").exists(), "the update of the round under way");
    operator.client().stop(&"heart".parse().unwrap()).await.unwrap();
    federation.stop().await;
    assert!(!updates.exists());
    // What a crash kept from being removed goes at the next start.
    std::fs::create_dir_all(updates.join("1-1")).unwrap();
    std::fs::write(updates.join("1-1/a.update"), b"left behind").unwrap();
    federation.serve().await;
    assert!(!updates.exists());
}

#[tokio::test]
async fn a_job_that_is_stopped_ends_for_everyone_and_keeps_its_model() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    let job = Job { rounds: 2, model: model(2, 5.0), ..Job::new("heart", 2) };
    operator.start(&job).await;
    let mut tasks = Vec::new();
    for site in &mut sites {
        site.contribute(1.0, 1).await;
    }
    for site in &mut sites {
        tasks.push(site.line.task().await);
    }
    let name = "heart".parse().unwrap();
    operator.client().stop(&name).await.unwrap();
    for (site, task) in sites.iter_mut().zip(&tasks) {
        let withdrawn = site.line.withdrawn().await;
        assert_eq!((withdrawn.reason.as_str(), &withdrawn.id), ("JOB_ENDED", &task.id));
        assert_eq!(site.line.ended().await.outcome(), JobOutcome::Stopped);
        let result = site.raw.submit(&Update::constant(task, 1.0, 1)).await;
        assert_refused(result, Code::FailedPrecondition, "ROUND_CLOSED", "takes no more updates");
    }
    let status = operator.ended("heart").await;
    assert_eq!((status.state(), status.message.as_str()), (JobState::Stopped, "stopped by operator"));
    let newest = operator.client().download(status.model.unwrap()).await.unwrap();
    assert_eq!(newest, model(2, 6.0));
    let error = operator.client().stop(&name).await.unwrap_err().to_string();
    assert_eq!(error, "JOB_ENDED: job `heart` has ended already");
}

#[tokio::test]
async fn a_round_without_quorum_at_its_deadline_is_abandoned_and_tried_again() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    let job = Job { deadline: "2s", attempts: 50, ..Job::new("heart", 2) };
    operator.start(&job).await;
    let first = b.line.task().await;
    a.contribute(1.0, 1).await;
    let withdrawn = b.line.withdrawn().await;
    assert_eq!((withdrawn.reason.as_str(), &withdrawn.id), ("ROUND_ABANDONED", &first.id));
    // From now on both answer; a slow machine may need more than one more attempt.
    let answering = [a, b].map(|mut site| {
        tokio::spawn(async move {
            loop {
                let task = site.line.task().await;
                let _ = site.raw.submit(&Update::constant(&task, 4.0, 1)).await;
            }
        })
    });
    let (status, found) = operator.completed("heart").await;
    answering.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(found, model(2, 4.0), "the update of the abandoned attempt does not count");
    let abandoned = &status.history[0];
    assert_eq!((abandoned.completed, abandoned.attempt), (false, 1));
    assert_eq!(abandoned.message, "the deadline passed with 1 updates, and the quorum is 2");
    assert!(status.history.last().unwrap().attempt > 1);
}

#[tokio::test]
async fn a_job_fails_when_a_round_was_abandoned_too_often() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    let job = Job { attempts: 2, ..Job::new("heart", 2) };
    operator.start(&job).await;
    for attempt in 1..=2 {
        let task = sites[0].line.task().await;
        assert_eq!(task.id.as_ref().unwrap().attempt, attempt);
        sites[0].raw.decline(&task, "TRAINING_FAILED", "no luck").await.unwrap();
    }
    assert_failed(&mut operator).await;
    for site in &mut sites {
        let ended = site.line.ended().await;
        assert_eq!(ended.outcome(), JobOutcome::Failed);
        assert!(ended.message.contains("the quorum of 2 cannot be met"), "{}", ended.message);
    }
}

async fn assert_failed(operator: &mut Operator) {
    let status = operator.ended("heart").await;
    assert_eq!(status.state(), JobState::Failed);
    let expected =
        "the quorum of 2 cannot be met: at most 1 updates can come; a declined: TRAINING_FAILED: no luck";
    assert_eq!(status.message, expected);
    let incidents: Vec<_> = status.incidents.iter().map(|incident| incident.reason.as_str()).collect();
    assert_eq!(incidents, ["TRAINING_FAILED"; 2]);
}
