//! What came of a secure sum, signed by the coordinator: who gets it, who can check it, and what becomes of a lie.

use std::{collections::BTreeSet, fs};

use federated_client::{config::ParticipantConfig, event::ParticipantEvent};
use federated_core::{
    ids::{Digest, Fingerprint, TaskId},
    privacy::secagg::{GroupSum, Modulus, SessionId, SignedResult, SigningSecret, VerifyingPublic, add},
};
use federated_proto::v1::{self, directive::Kind, secure_directive::Message as Told};
use federated_tests::{AddConstant, Client, Federation, Job, SecureSite, Signatories, model};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn job(rounds: u32) -> Job {
    Job {
        rounds,
        quorum: 3,
        attempts: 1,
        secure_aggregation: "clip = 8.0\nmax_examples = 100\nmax_participants = 4\nmetrics = { loss = 10.0 }"
            .to_owned(),
        model: model(99, 0.0),
        ..Job::new("heart", 4)
    }
}

/// A member that has pinned the coordinator's key, and may require results.
fn pinned(
    federation: &Federation,
    signatories: &Signatories,
    name: &str,
    required: bool,
) -> ParticipantConfig {
    let mut config = signatories.config(name);
    let secure = config.secure_aggregation.as_mut().expect("a member");
    secure.coordinator_key = Some(federation.signing_key().public());
    secure.require_signed_result = required;
    config
}

/// What a participant was told of a sum.
#[derive(Clone, Debug, PartialEq)]
struct Sum {
    task: TaskId,
    session: SessionId,
    survivors: BTreeSet<String>,
    sum: Fingerprint,
    model: Digest,
}

fn sum(event: &ParticipantEvent) -> Option<Sum> {
    let ParticipantEvent::SumSigned { task, session, survivors, sum, model } = event else { return None };
    let survivors = survivors.iter().map(ToString::to_string).collect();
    Some(Sum { task: task.clone(), session: *session, survivors, sum: *sum, model: *model })
}

fn refusal(event: &ParticipantEvent) -> Option<(u32, String)> {
    match event {
        ParticipantEvent::ResultRefused { task, reason, message } if reason == "SECAGG_RESULT" => {
            Some((task.round.get(), message.clone()))
        }
        _ => None,
    }
}

#[tokio::test]
async fn every_survivor_gets_the_same_signed_result_of_the_sum_that_really_is() {
    let federation = Federation::signing(|builder, _| builder).await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let mut sites = Vec::new();
    for name in NAMES {
        sites.push(SecureSite::join(&federation, &signatories, name).await);
    }
    operator.start(&job(1)).await;
    let [a, b, c, d] = &mut sites[..] else { panic!("four") };
    tokio::join!(a.contribute(1.0, 10), b.contribute(2.0, 20), c.contribute(3.0, 30), d.contribute(4.0, 40));
    let mut expected = vec![0; sites[0].vector(0.0, 1).len()];
    for (site, (value, examples)) in sites.iter().zip([(1.0, 10), (2.0, 20), (3.0, 30), (4.0, 40)]) {
        add(Modulus::B32, &mut expected, &site.vector(value, examples)).unwrap();
    }
    for _ in 0..2 {
        for site in &mut sites {
            site.go_on().await;
        }
    }
    let (status, _) = operator.completed("heart").await;
    let mut results = Vec::new();
    for site in &mut sites {
        results.push(SignedResult::try_from(site.line.told().await).unwrap());
        assert_eq!(site.line.ended().await.model, status.model);
    }
    assert!(results.iter().all(|result| result == &results[0]), "{results:#?}");
    results[0].verify(&federation.signing_key().public()).unwrap();
    let result = &results[0].result;
    assert_eq!(result.group.sum, Fingerprint::of(&expected), "the SHA-256 of the plain vectors' sum");
    assert_eq!(result.group.survivors.iter().map(|name| name.as_str()).collect::<Vec<_>>(), NAMES);
    assert_eq!(result.model.as_bytes()[..], status.model.unwrap().digest[..]);
}

#[tokio::test]
async fn participants_check_results_and_keep_them_for_good() {
    let federation = Federation::signing(|builder, _| builder).await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let configs = NAMES.map(|name| pinned(&federation, &signatories, name, true));
    let start = |config: &ParticipantConfig| Client::start_with(config.clone(), AddConstant::new(1.0, 10));
    let mut clients: Vec<Client> = configs.iter().map(start).collect();
    operator.present(&NAMES).await;
    operator.start(&job(2)).await;
    let mut told = Vec::new();
    for client in &mut clients {
        told.push([client.event("a result", sum).await, client.event("a second", sum).await]);
    }
    let (status, _) = operator.completed("heart").await;
    for client in clients {
        client.ended().await.unwrap();
    }
    assert!(told.iter().all(|results| results == &told[0]), "{told:#?}");
    assert_eq!(told[0].each_ref().map(|sum| (sum.task.round.get(), sum.survivors.len())), [(1, 4), (2, 4)]);
    assert_eq!(told[0][1].model.as_bytes()[..], status.model.unwrap().digest[..]);
    for config in configs {
        let kept = fs::read_to_string(config.state.join("results.jsonl")).unwrap();
        for (line, sum) in kept.lines().zip(&told[0]) {
            assert!(line.contains(&format!("\"sum\":\"{}\",\"model\":\"{}\"", sum.sum, sum.model)), "{line}");
        }
        assert_eq!(kept.lines().count(), 2);
    }
}

#[tokio::test]
async fn one_that_was_away_gets_its_result_when_it_attends_again() {
    let federation = Federation::signing(|builder, _| builder).await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let mut sites = Vec::new();
    for name in &NAMES[..3] {
        sites.push(SecureSite::join(&federation, &signatories, name).await);
    }
    let config = pinned(&federation, &signatories, "d", true);
    let mut away = Client::start_with(config.clone(), AddConstant::new(5.0, 10));
    operator.present(&NAMES).await;
    operator.start(&Job { absence: "0s", ..job(1) }).await;
    let [a, b, c] = &mut sites[..] else { panic!("three") };
    tokio::join!(a.contribute(1.0, 10), b.contribute(1.0, 10), c.contribute(1.0, 10));
    let submitted =
        |event: &ParticipantEvent| matches!(event, ParticipantEvent::Submitted { .. }).then_some(());
    away.event("its receipt", submitted).await;
    away.stop().await.unwrap();
    for _ in 0..2 {
        for site in &mut sites {
            site.go_on().await;
        }
    }
    let (status, _) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors.len(), 4);
    let told = SignedResult::try_from(sites[0].line.told().await).unwrap();
    let mut back = Client::start_with(config, AddConstant::new(5.0, 10));
    let found = back.event("its result", sum).await;
    let GroupSum { session, sum, .. } = *told.result.group;
    assert_eq!((found.session, found.sum, found.survivors.len()), (session, sum, 4));
    back.ended().await.unwrap();
}

#[tokio::test]
async fn a_restarted_coordinator_tells_of_its_last_sum_before_the_next_round() {
    let mut federation = Federation::signing(|builder, _| builder).await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let mut sites = Vec::new();
    for name in NAMES {
        sites.push(SecureSite::join(&federation, &signatories, name).await);
    }
    operator.start(&job(2)).await;
    let [a, b, c, d] = &mut sites[..] else { panic!("four") };
    tokio::join!(a.contribute(1.0, 10), b.contribute(1.0, 10), c.contribute(1.0, 10), d.contribute(1.0, 10));
    for _ in 0..2 {
        for site in &mut sites {
            site.go_on().await;
        }
    }
    let before = SignedResult::try_from(sites[0].line.told().await).unwrap();
    federation.kill().await;
    federation.serve().await;
    for site in &mut sites {
        site.reconnect(&federation).await;
        assert_eq!(SignedResult::try_from(site.line.told().await).unwrap(), before, "from its journal");
        assert_eq!(site.line.task().await.id.unwrap().round, 2);
    }
}

/// Who lies about a result, and how.
type Lie = fn(&SigningSecret, v1::SecureDirective) -> Option<v1::SecureDirective>;

/// Runs a job of two rounds with four participants that have pinned the coordinator's key and are told so of its results;
/// with the first that each has against it.
async fn lied_to(required: bool, lie: Lie) -> (v1::JobStatus, Vec<(u32, String)>) {
    let federation = Federation::signing(move |builder, key| {
        builder.dangerous_lie(Box::new(move |_, kind| match kind {
            Kind::Secure(told) if matches!(told.message, Some(Told::Result(_))) => {
                lie(&key, told).map(Kind::Secure).into_iter().collect()
            }
            other => vec![other],
        }))
    })
    .await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let start = |name: &str| {
        let config = pinned(&federation, &signatories, name, required);
        Client::start_with(config, AddConstant::new(1.0, 10))
    };
    let mut clients = NAMES.map(start);
    operator.present(&NAMES).await;
    operator.start(&job(2)).await;
    let mut said = Vec::new();
    for client in &mut clients {
        said.push(client.event("what it has against a result", refusal).await);
    }
    let status = operator.ended("heart").await;
    for client in clients {
        client.ended().await.unwrap();
    }
    (status, said)
}

fn changed(mut told: v1::SecureDirective) -> v1::SecureDirective {
    if let Some(Told::Result(result)) = &mut told.message {
        result.model = vec![9; 32].into();
    }
    told
}

/// What the coordinator may well have signed, of another model than the one that it goes on with.
fn signed_lie(key: &SigningSecret, told: v1::SecureDirective) -> Option<v1::SecureDirective> {
    let SignedResult { result, .. } = SignedResult::try_from(changed(told)).expect("a result");
    Some((&result.sign(key)).into())
}

#[tokio::test]
async fn a_result_that_was_changed_is_reported_and_the_job_goes_on() {
    let (status, said) = lied_to(false, |_, told| Some(changed(told))).await;
    assert_eq!(status.state(), v1::JobState::Completed);
    assert!(said.iter().all(|(round, words)| *round == 1 && words.contains("coordinator_key")), "{said:?}");
}

#[tokio::test]
async fn a_signed_result_of_another_model_than_the_next_round_s_is_reported() {
    let (status, said) = lied_to(false, signed_lie).await;
    assert_eq!(status.state(), v1::JobState::Completed);
    assert!(said.iter().all(|(round, words)| *round == 2 && words.contains("names the model")), "{said:?}");
}

#[tokio::test]
async fn where_results_are_required_a_wrong_or_missing_one_gets_no_further_update() {
    let lies: [Lie; 3] = [|_, told| Some(changed(told)), signed_lie, |_, _| None];
    for lie in lies {
        let (status, said) = lied_to(true, lie).await;
        assert_eq!(status.state(), v1::JobState::Failed, "{said:?}");
        assert_eq!(status.history.iter().map(|round| round.completed).collect::<Vec<_>>(), [true, false]);
        let reasons: BTreeSet<&str> =
            status.incidents.iter().map(|incident| incident.reason.as_str()).collect();
        assert_eq!(reasons, BTreeSet::from(["SECAGG_RESULT"]));
    }
}

#[tokio::test]
async fn a_participant_that_has_pinned_no_key_keeps_what_it_is_told() {
    let federation = Federation::signing(|builder, _| builder).await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let start = |name: &str| Client::start_with(signatories.config(name), AddConstant::new(1.0, 10));
    let mut clients = NAMES.map(start);
    operator.present(&NAMES).await;
    operator.start(&job(1)).await;
    for client in &mut clients {
        client.event("its result", sum).await;
    }
    let kept = fs::read_to_string(signatories.config("a").state.join("results.jsonl")).unwrap();
    assert!(kept.ends_with("\"key\":null}\n"), "{kept}");
    let public: VerifyingPublic = federation.signing_key().public();
    assert!(!kept.contains(&public.to_string()));
}
