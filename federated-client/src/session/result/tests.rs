use federated_core::{
    ids::RoundNumber,
    privacy::secagg::{GroupSum, SigningSecret},
};
use federated_proto::convert::ModelContent;
use zeroize::Zeroizing;

use super::*;
use crate::session::fixture;

fn key() -> SigningSecret {
    SigningSecret::from_seed(Zeroizing::new([7; 32]))
}

fn names(names: &[&str]) -> BTreeSet<ParticipantName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The result of a job's first round, in whose session `a`, `b` and `c` were.
fn result(round: u32) -> SumResult {
    let group = GroupSum {
        session: [1; 32].into(),
        survivors: names(&["a", "b", "c"]),
        sum: Fingerprint::of(b"sum"),
    };
    SumResult { task: task(round).id, group: Arc::new(group), model: task(round).model }
}

fn task(round: u32) -> TrainTask {
    TrainTask { secure: Some(Box::new(fixture::secure_task())), ..fixture::task("heart", round) }
}

/// Participant `a`, which knows the coordinator's key.
fn results(required: bool) -> (tempfile::TempDir, SumResults) {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(StateFolder::open(&folder.path().join("state")).unwrap());
    let rules = ResultRules { name: "a".parse().unwrap(), key: Some(key().public()), required };
    (folder, SumResults::new(rules, state))
}

/// That has signed for the first round's survivors.
fn signed(required: bool) -> (tempfile::TempDir, SumResults) {
    let (folder, results) = results(required);
    let survivors = names_hash(&names(&["a", "b", "c"]));
    let progress = Progress::Signed { session: [1; 32].into(), survivors };
    results.state.note_session(&task(1).id, &progress).unwrap();
    (folder, results)
}

fn message(event: Option<ParticipantEvent>) -> String {
    match event {
        Some(ParticipantEvent::ResultRefused { reason, message, .. }) if reason == "SECAGG_RESULT" => message,
        other => panic!("{other:?}"),
    }
}

fn with(result: SumResult, change: impl FnOnce(&mut GroupSum)) -> SumResult {
    let mut group = GroupSum::clone(&result.group);
    change(&mut group);
    SumResult { group: Arc::new(group), ..result }
}

#[test]
fn a_good_result_is_kept_once_however_often_it_comes() {
    let (folder, results) = signed(true);
    let good = result(1).sign(&key());
    let event = results.told(&good);
    assert!(matches!(event, Some(ParticipantEvent::SumSigned { survivors, .. }) if survivors.len() == 3));
    assert_eq!(results.told(&good), None);
    let kept = std::fs::read_to_string(folder.path().join("state/results.jsonl")).unwrap();
    assert_eq!(kept.lines().count(), 1);
    let start = "{\"job\":\"heart\",\"round\":1,\"attempt\":1,\"session\":\"0101";
    let signature = format!("\"signature\":\"{}\",\"key\":\"{}\"}}\n", good.signature, key().public());
    assert!(kept.starts_with(start) && kept.ends_with(&signature), "{kept}");
    assert!(kept.contains("\"survivors\":[\"a\",\"b\",\"c\"]"), "{kept}");
}

#[test]
fn a_result_that_cannot_be_so_is_refused_and_not_kept() {
    let other = SigningSecret::from_seed(Zeroizing::new([8; 32]));
    let signed_as = |result: SumResult| result.sign(&key());
    for (wrong, expected) in [
        (result(1).sign(&other), "coordinator_key"),
        (signed_as(with(result(1), |group| group.session = [2; 32].into())), "of session"),
        (
            signed_as(with(result(1), |group| group.survivors = names(&["b", "c", "d"]))),
            "this participant among",
        ),
        (signed_as(with(result(1), |group| group.survivors = names(&["a", "b", "d"]))), "has signed for"),
        (signed_as(result(2)), "took part in"),
    ] {
        let (folder, results) = signed(false);
        let found = message(results.told(&wrong));
        assert!(found.contains(expected), "{found}");
        assert!(!folder.path().join("state/results.jsonl").exists());
    }
    let (_folder, results) = results(false);
    assert!(message(results.told(&signed_as(result(1)))).contains("took part in"), "no session at all");
}

#[test]
fn two_results_of_one_session_are_told_apart_also_after_a_restart() {
    let (_folder, results) = signed(false);
    assert!(results.told(&result(1).sign(&key())).is_some());
    let again = SumResults::new(results.rules.clone(), Arc::clone(&results.state));
    let second = with(result(1), |group| group.sum = Fingerprint::of(b"another"));
    assert!(message(again.told(&second.sign(&key()))).contains("two things"));
}

#[test]
fn a_result_of_a_session_before_the_last_is_left_out() {
    let (_folder, results) = signed(false);
    results.state.begin_session(&task(2).id).unwrap();
    assert_eq!(results.told(&result(1).sign(&key())), None);
}

#[test]
fn the_next_task_must_start_from_the_model_that_the_result_names() {
    for required in [false, true] {
        let (_folder, mut results) = signed(required);
        assert!(results.told(&result(1).sign(&key())).is_some());
        assert_eq!(results.doubt(&task(2)), None);
        let other = TrainTask { model: Digest::of(b"another"), ..task(2) };
        let (event, declined) = results.doubt(&other).unwrap();
        assert!(message(Some(event)).contains("names the model"));
        assert_eq!(declined.is_some(), required);
        // Of rounds between nothing is known here.
        assert_eq!(results.doubt(&TrainTask { model: Digest::of(b"another"), ..task(3) }), None);
    }
}

#[test]
fn without_its_result_a_session_is_in_doubt_unless_it_was_withdrawn() {
    let (_folder, mut results) = signed(true);
    let (event, declined) = results.doubt(&task(2)).unwrap();
    assert!(message(Some(event)).contains("none came"));
    assert!(matches!(declined, Some(Input::Failed { reason, .. }) if reason == "SECAGG_RESULT"));
    let again = TrainTask { id: TaskId { attempt: 2, ..task(1).id }, ..task(1) };
    assert_eq!(results.doubt(&again), None, "the round was not completed");
    let (reason, text) = ("ROUND_ABANDONED".to_owned(), String::new());
    assert_eq!(results.hear(&Input::Withdrawn { task: task(1).id, reason, message: text }), None);
    assert_eq!(results.doubt(&task(2)), None);
}

#[test]
fn a_job_must_end_with_the_model_that_the_last_result_names() {
    let end = |model| {
        let layout = task(1).layout;
        let model = Some(ModelContent { layout, digest: model });
        let (job, outcome) = (task(1).id.job, JobOutcome::Completed);
        Input::JobEnded(EndedJob { job, outcome, message: String::new(), model })
    };
    let (_folder, mut results) = signed(false);
    let last = TrainTask { rounds: 1, ..task(1) };
    assert_eq!(results.doubt(&last), None);
    assert!(results.told(&result(1).sign(&key())).is_some());
    assert!(message(results.hear(&end(Digest::of(b"another")))).contains("ends with"));
    assert_eq!(results.hear(&end(Digest::of(b"another"))), None, "it is said once");
    assert_eq!(results.doubt(&last), None);
    assert_eq!(results.hear(&end(last.model)), None);
    assert_eq!(RoundNumber::FIRST, last.id.round);
}
