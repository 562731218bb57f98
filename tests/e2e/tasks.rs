//! Updates for tasks that are over, have not begun, are someone else's, or do not exist.

use std::collections::BTreeMap;

use federated_tests::{Federation, Job, Site, Update, assert_refused, model};
use tonic::Code;

/// `a` and `b` play one round; the second one has begun when this returns.
async fn second_round() -> (Federation, [Site; 2]) {
    let federation = Federation::start().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    let job = Job { rounds: 2, ..Job::new("heart", 2) };
    federation.operator().await.start(&job).await;
    for site in &mut sites {
        site.contribute(1.0, 1).await;
    }
    (federation, sites)
}

/// The round goes on as if nothing had happened.
async fn completes(federation: &Federation, sites: &mut [Site; 2]) {
    for site in sites {
        site.raw.negotiate(0, 0).await.expect("an answer");
    }
    let (status, found) = federation.operator().await.completed("heart").await;
    assert_eq!(found, model(2, 4.0));
    assert!(status.incidents.is_empty(), "{:?}", status.incidents);
}

#[tokio::test]
async fn an_update_for_a_finished_round_is_refused() {
    let (federation, mut sites) = second_round().await;
    let task = sites[0].line.task().await;
    let late = Update::constant(&task, 9.0, 1).for_task("heart", 1, 1);
    let words = "heart/round 1/attempt 1 is over: the job is at round 2, attempt 1; wait for the next task";
    assert_refused(sites[0].raw.submit(&late).await, Code::FailedPrecondition, "TASK_FINISHED", words);
    assert_refused(sites[0].raw.query(&late).await, Code::FailedPrecondition, "TASK_FINISHED", words);
    sites[0].raw.submit(&Update::constant(&task, 3.0, 1)).await.expect("a receipt");
    sites[1].contribute(3.0, 1).await;
    completes(&federation, &mut sites).await;
}

#[tokio::test]
async fn an_update_for_a_round_or_attempt_to_come_is_refused() {
    let (federation, mut sites) = second_round().await;
    let task = sites[0].line.task().await;
    for (round, attempt) in [(3, 1), (2, 2), (u32::MAX, u32::MAX)] {
        let early = Update::constant(&task, 9.0, 1).for_task("heart", round, attempt);
        let words =
            format!("heart/round {round}/attempt {attempt} has not begun: the job is at round 2, attempt 1");
        let result = sites[0].raw.submit(&early).await;
        assert_refused(result, Code::FailedPrecondition, "TASK_IN_THE_FUTURE", &words);
    }
    sites[0].raw.submit(&Update::constant(&task, 3.0, 1)).await.expect("a receipt");
    sites[1].contribute(3.0, 1).await;
    completes(&federation, &mut sites).await;
}

#[tokio::test]
async fn a_task_that_makes_no_sense_is_refused() {
    let (federation, mut sites) = second_round().await;
    let task = sites[0].line.task().await;
    let cases = [
        ("lungs", 1, 1, Code::NotFound, "JOB_UNKNOWN", "there is no job `lungs`"),
        ("../heart", 1, 1, Code::InvalidArgument, "MESSAGE_INVALID", "field `task.job`: job `../heart`"),
        (
            "heart",
            0,
            1,
            Code::InvalidArgument,
            "MESSAGE_INVALID",
            "field `task.round`: expected at least 1, found 0",
        ),
        (
            "heart",
            1,
            0,
            Code::InvalidArgument,
            "MESSAGE_INVALID",
            "field `task.attempt`: expected at least 1",
        ),
    ];
    for (job, round, attempt, code, why, words) in cases {
        let odd = Update::constant(&task, 9.0, 1).for_task(job, round, attempt);
        assert_refused(sites[0].raw.submit(&odd).await, code, why, words);
    }
    let mut nameless = Update::constant(&task, 9.0, 1);
    nameless.header.task = None;
    let result = sites[0].raw.submit(&nameless).await;
    assert_refused(
        result,
        Code::InvalidArgument,
        "MESSAGE_INVALID",
        "expected the field `header.task`, found none",
    );
    sites[0].raw.submit(&Update::constant(&task, 3.0, 1)).await.expect("a receipt");
    sites[1].contribute(3.0, 1).await;
    completes(&federation, &mut sites).await;
}

#[tokio::test]
async fn an_update_for_a_task_given_to_others_is_refused() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let names = ["a", "b", "c", "d"];
    let mut sites: BTreeMap<_, _> = names.into_iter().zip(Site::join_all(&federation, names).await).collect();
    let job = Job { fraction: 0.5, quorum: 2, ..Job::new("heart", 4) };
    operator.start(&job).await;
    let cohort = operator.until("heart", |status| !status.cohort.is_empty()).await.cohort;
    assert_eq!(cohort.len(), 2);
    let mut chosen: Vec<_> =
        cohort.iter().map(|member| sites.remove(member.participant.as_str()).unwrap()).collect();
    let task = chosen[0].contribute(1.0, 1).await;
    for outsider in sites.values_mut() {
        let result = outsider.raw.submit(&Update::constant(&task, 9.0, 1)).await;
        let words = "heart/round 1/attempt 1 was not given to this participant";
        assert_refused(result, Code::FailedPrecondition, "TASK_NOT_YOURS", words);
    }
    chosen[1].contribute(3.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}

#[tokio::test]
async fn a_declined_task_is_seen_by_the_operator_and_the_round_goes_on() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b, mut c] = Site::join_all(&federation, ["a", "b", "c"]).await;
    operator.start(&Job { quorum: 2, ..Job::new("heart", 3) }).await;
    let task = c.line.task().await;
    for code in ["", "no spaces", "lower", &"A".repeat(65)] {
        let result = c.raw.decline(&task, code, "").await;
        assert_refused(
            result,
            Code::InvalidArgument,
            "MESSAGE_INVALID",
            "field `reason`: expected 1 to 64 characters",
        );
    }
    // Words from a peer are shown, never obeyed: control characters do not get through.
    c.raw.decline(&task, "POLICY_MIN_COHORT", "too few\u{1b}[2J\nsites").await.unwrap();
    let result = c.raw.submit(&Update::constant(&task, 9.0, 1)).await;
    let words = "which declined: POLICY_MIN_COHORT: too few [2J sites; wait for the next task";
    assert_refused(result, Code::FailedPrecondition, "TASK_OUT", words);
    a.contribute(1.0, 1).await;
    b.contribute(3.0, 1).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(2, 2.0));
    let [incident] = status.incidents.as_slice() else { panic!("{:?}", status.incidents) };
    assert_eq!(incident.participant, "c");
    assert_eq!(
        (incident.reason.as_str(), incident.message.as_str()),
        ("POLICY_MIN_COHORT", "too few [2J sites")
    );
}

#[tokio::test]
async fn declining_does_not_take_back_an_update_that_has_its_receipt() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    let task = a.contribute(1.0, 1).await;
    a.raw.decline(&task, "TRAINING_FAILED", "on second thoughts").await.unwrap();
    b.contribute(3.0, 1).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors, ["a", "b"]);
    assert_eq!(found, model(2, 2.0));
}
