//! Attacks on secure aggregation, one test each: a coordinator or a participant that lies over the real wire. What is
//! revealed is nothing: no new model comes of it, and nobody answers what would unmask an update.
//!
//! An arc that is cut out of the ring needs more than 255 participants: there are 300 of them for that one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock},
};

use federated_client::event::ParticipantEvent;
use federated_core::{
    ids::ParticipantName,
    privacy::secagg::{
        AgreementPublic, Cohort, CoordinatorMessage, Header, ParticipantMessage, RevealedShare,
    },
    task::TrainTask,
};
use federated_proto::v1::{
    self, answer_session_request::Message as Answer, directive::Kind, secure_directive::Message as Told,
};
use federated_tests::{
    AddConstant, Client, Federation, Job, SecureSite, Signatories, assert_refused, model, reason,
};
use tonic::Code;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn job(rounds: u32) -> Job {
    Job {
        rounds,
        quorum: 3,
        attempts: 1,
        secure_aggregation: "clip = 8.0\nmax_examples = 100\nmax_participants = 4\nmetrics = { loss = 10.0 }"
            .to_owned(),
        model: model(9, 0.0),
        ..Job::new("heart", 4)
    }
}

/// Whether this tells somebody whose updates are in.
fn told(kind: &mut Kind) -> Option<&mut Told> {
    match kind {
        Kind::Secure(told) => told.message.as_mut(),
        _ => None,
    }
}

/// Runs a job with four participants of the library and a coordinator that lies so; with who said what against it.
async fn lied_to(
    rounds: u32,
    lie: impl Fn(&ParticipantName, Kind) -> Vec<Kind> + Send + Sync + 'static,
) -> (v1::JobStatus, BTreeMap<String, String>) {
    all_lied_to(&NAMES, &job(rounds), lie).await
}

async fn all_lied_to(
    names: &[&str],
    job: &Job,
    lie: impl Fn(&ParticipantName, Kind) -> Vec<Kind> + Send + Sync + 'static,
) -> (v1::JobStatus, BTreeMap<String, String>) {
    let federation = Federation::built(|builder| builder.dangerous_lie(Box::new(lie))).await;
    let signatories = Signatories::enroll(&federation, names);
    let mut operator = federation.operator().await;
    let clients: Vec<Client> = names
        .iter()
        .map(|name| Client::start_with(signatories.config(name), AddConstant::new(1.0, 10)))
        .collect();
    operator.present(names).await;
    operator.start(job).await;
    let status = operator.ended("heart").await;
    for client in clients {
        client.ended().await.unwrap();
    }
    let said =
        status.incidents.iter().map(|incident| (incident.participant.clone(), incident.reason.clone()));
    (status.clone(), said.collect())
}

/// Nothing was unmasked: the round was abandoned, and these participants said why.
fn assert_nothing_revealed(
    (status, said): &(v1::JobStatus, BTreeMap<String, String>),
    expected: &str,
    by: &[&str],
) {
    assert_eq!(status.state(), v1::JobState::Failed, "{status:#?}");
    assert!(status.history.iter().all(|round| !round.completed));
    // Two who leave are enough to abandon it; the others may not come to say anything.
    assert!(said.len() >= 2, "{said:?}");
    assert!(said.iter().all(|(name, reason)| by.contains(&name.as_str()) && reason == expected), "{said:?}");
}

#[tokio::test]
async fn a_coordinator_that_gives_two_participants_different_trainings_gets_no_sum() {
    let outcome = lied_to(1, |name, mut kind| {
        if let Kind::Train(task) = &mut kind
            && name.as_str() == "a"
        {
            task.settings.insert("another".to_owned(), "training".to_owned());
        }
        vec![kind]
    })
    .await;
    // Each finds that the others have signed for another header.
    assert_nothing_revealed(&outcome, "SECAGG_ROSTER", &NAMES);
}

#[tokio::test]
async fn a_coordinator_that_swaps_a_key_gets_no_shares() {
    let outcome = lied_to(1, |name, mut kind| {
        if let Some(Told::Roster(roster)) = told(&mut kind)
            && name.as_str() != "b"
        {
            let stolen = roster.members["c"].seal_key.clone();
            roster.members.get_mut("b").unwrap().seal_key = stolen;
        }
        vec![kind]
    })
    .await;
    assert_nothing_revealed(&outcome, "SECAGG_ROSTER", &["a", "c", "d"]);
}

#[tokio::test]
async fn a_coordinator_that_leaves_all_but_one_out_gets_no_signature() {
    let outcome = lied_to(1, |name, mut kind| {
        if let Some(Told::Survivors(announced)) = told(&mut kind) {
            announced.survivors =
                vec![NAMES.iter().position(|other| *other == name.as_str()).unwrap() as u32];
        }
        vec![kind]
    })
    .await;
    assert_nothing_revealed(&outcome, "SECAGG_SURVIVORS", &NAMES);
}

#[tokio::test]
async fn a_coordinator_that_cuts_an_arc_out_of_the_ring_gets_no_signature() {
    const COUNT: u32 = 300;
    let names: Vec<String> = (0..COUNT).map(|site| format!("site-{site:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let job = Job {
        quorum: 280,
        attempts: 1,
        secure_aggregation: format!(
            "clip = 8.0\nmax_examples = 100\nmax_participants = {COUNT}\ngamma = 0.05\ndelta = 0.05\nmin_survivors = 200"
        ),
        model: model(9, 0.0),
        ..Job::new("heart", COUNT)
    };
    // It knows the header and everyone's keys, and so the ring.
    let (header, arc) = (OnceLock::new(), OnceLock::new());
    let (status, said) = all_lied_to(&names, &job, move |_, mut kind| {
        if let Kind::Train(task) = &kind {
            let task = TrainTask::try_from(task.clone()).expect("its own task");
            header.get_or_init(|| task.header().expect("a task with secure aggregation"));
        }
        match told(&mut kind) {
            Some(Told::Roster(roster)) => {
                let header: &Header = header.get().expect("tasks come first");
                arc.get_or_init(|| {
                    let Ok(CoordinatorMessage::Roster(roster)) = Told::Roster(roster.clone()).try_into()
                    else {
                        panic!("its own roster")
                    };
                    let cohort = Cohort::new(&header.to_bytes(), &header.terms, &roster).expect("a cohort");
                    cohort.graph.neighbours(0).collect::<BTreeSet<u32>>()
                });
            }
            Some(Told::Survivors(announced)) => {
                let arc = arc.get().expect("the roster comes first");
                announced.survivors.retain(|index| !arc.contains(index));
                assert!(announced.survivors.len() > 200, "there would be enough");
            }
            _ => {}
        }
        vec![kind]
    })
    .await;
    assert_eq!(status.state(), v1::JobState::Failed);
    assert!(!status.history[0].completed);
    assert!(said.len() > 20 && said.values().all(|reason| reason == "SECAGG_SURVIVORS"), "{said:?}");
}

#[tokio::test]
async fn a_coordinator_that_announces_two_sets_gets_no_shares() {
    let outcome = lied_to(1, |name, mut kind| {
        if let Some(Told::Survivors(announced)) = told(&mut kind)
            && name.as_str() < "c"
        {
            announced.survivors = vec![0, 1, 3];
        }
        vec![kind]
    })
    .await;
    // Two have signed the one set and two the other: three are needed.
    assert_nothing_revealed(&outcome, "SECAGG_SIGNATURES", &NAMES);
}

#[tokio::test]
async fn a_coordinator_that_asks_for_both_shares_of_one_participant_gets_neither() {
    let outcome = lied_to(1, |_, mut kind| {
        let Some(Told::Survivors(_)) = told(&mut kind) else { return vec![kind] };
        // First that all are in, which makes them reveal shares of their own masks; then that `d` dropped out, which would
        // make them reveal shares of its key.
        let mut second = kind.clone();
        if let Some(Told::Survivors(announced)) = told(&mut second) {
            announced.survivors.retain(|index| *index != 3);
        }
        vec![kind, second]
    })
    .await;
    assert_nothing_revealed(&outcome, "SECAGG_SECOND_ANNOUNCEMENT", &NAMES);
}

#[tokio::test]
async fn a_coordinator_that_replays_the_session_before_gets_nothing() {
    let first = Arc::new(Mutex::new(None));
    let outcome = lied_to(2, move |_, mut kind| {
        if let Some(Told::Roster(roster)) = told(&mut kind) {
            let mut first = first.lock().unwrap();
            match &*first {
                // Four are told of the first session.
                Some((round, replayed)) if *round == 4 => *roster = v1::Roster::clone(replayed),
                Some((round, before)) => *first = Some((round + 1, before.clone())),
                None => *first = Some((1, roster.clone())),
            }
        }
        vec![kind]
    })
    .await;
    let (status, said) = &outcome;
    assert_eq!((status.state(), status.history[0].completed), (v1::JobState::Failed, true));
    assert!(status.history[1..].iter().all(|round| !round.completed));
    assert!(said.len() >= 2 && said.values().all(|reason| reason == "SECAGG_ROSTER"), "{said:?}");
}

#[tokio::test]
async fn a_coordinator_that_asks_for_an_old_round_again_gets_no_second_session() {
    let federation = Federation::built(|builder| {
        builder.dangerous_lie(Box::new(|_, kind| match &kind {
            Kind::Train(task) if task.id.as_ref().is_some_and(|id| id.round == 2) => {
                let id = task.id.clone().map(|id| v1::TaskId { round: 1, ..id });
                vec![Kind::Train(v1::TrainTask { id, seed: 99, ..task.clone() }), kind]
            }
            _ => vec![kind],
        }))
    })
    .await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let start = |name| Client::start_with(signatories.config(name), AddConstant::new(1.0, 10));
    let mut clients = NAMES.map(start);
    operator.present(&NAMES).await;
    operator.start(&job(2)).await;
    for client in &mut clients {
        let declined = |event: &ParticipantEvent| match event {
            ParticipantEvent::TaskDeclined { task, reason, .. } => Some((task.round.get(), reason.clone())),
            _ => None,
        };
        let declined = client.event("that it declines", declined).await;
        assert_eq!(declined, (1, "SECAGG_SESSION_LOST".to_owned()));
    }
    let (status, _) = operator.completed("heart").await;
    assert_eq!(status.history.len(), 2, "both rounds went on as they should");
}

/// Four members that are made of bare calls.
async fn four(federation: &Federation, signatories: &Signatories) -> [SecureSite; 4] {
    let mut sites = Vec::new();
    for name in NAMES {
        sites.push(SecureSite::join(federation, signatories, name).await);
    }
    sites.try_into().expect("four")
}

/// All four as far as their updates, of 1, 2, 3 and 4 with 10 examples each.
async fn all_contribute(sites: &mut [SecureSite; 4]) {
    let [a, b, c, d] = sites;
    tokio::join!(a.contribute(1.0, 10), b.contribute(2.0, 10), c.contribute(3.0, 10), d.contribute(4.0, 10));
}

#[tokio::test]
async fn a_participant_that_reveals_a_wrong_share_does_not_spoil_the_sum() {
    let federation = Federation::start().await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let mut sites = four(&federation, &signatories).await;
    operator.start(&job(1)).await;
    all_contribute(&mut sites).await;
    for site in &mut sites {
        site.go_on().await;
    }
    for (number, site) in sites.iter_mut().enumerate() {
        let mut message = site.next().await.unwrap();
        if let (1, ParticipantMessage::Unmask(unmask)) = (number, &mut message) {
            unmask.self_masks.values_mut().for_each(|share| *share = RevealedShare::from([7; 32]));
        }
        site.say(&message).await.unwrap();
    }
    let (status, model) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors.len(), 4);
    assert!(model.values().iter().all(|value| (value - 2.5).abs() < 1e-5), "{:?}", model.values());
}

#[tokio::test]
async fn with_too_many_wrong_shares_nothing_is_unmasked_and_the_operator_is_told() {
    let federation = Federation::start().await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let mut sites = four(&federation, &signatories).await;
    operator.start(&job(1)).await;
    all_contribute(&mut sites).await;
    for site in &mut sites {
        site.go_on().await;
    }
    for (number, site) in sites.iter_mut().enumerate() {
        let mut message = site.next().await.unwrap();
        if let (0 | 1, ParticipantMessage::Unmask(unmask)) = (number, &mut message) {
            unmask.self_masks.values_mut().for_each(|share| *share = RevealedShare::from([7; 32]));
        }
        site.say(&message).await.unwrap();
    }
    let status = operator.ended("heart").await;
    assert_eq!(status.state(), v1::JobState::Failed);
    assert!(
        status.history[0].message.contains("do not give what it committed to"),
        "{}",
        status.history[0].message
    );
}

#[tokio::test]
async fn a_participant_whose_messages_are_broken_fails_alone() {
    let federation = Federation::start().await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let [mut a, mut b, mut c, mut d] = four(&federation, &signatories).await;
    operator.start(&job(1)).await;
    let ParticipantMessage::AdvertiseKeys(keys) = d.begin().await else { panic!() };
    let answer = |task: &v1::TrainTask, message: Option<Answer>| v1::AnswerSessionRequest {
        task: task.id.clone(),
        message,
    };
    let task = d.task().clone();
    // What cannot be parsed is refused, and may be said right afterwards.
    for broken in [
        v1::AdvertiseKeys { seal_key: vec![1; 31].into(), ..(&keys).into() },
        v1::AdvertiseKeys { signature: vec![1; 65].into(), ..(&keys).into() },
        v1::AdvertiseKeys { commitment: Default::default(), ..(&keys).into() },
    ] {
        let refused = d.raw.answer(answer(&task, Some(Answer::AdvertiseKeys(broken)))).await;
        assert_refused(refused, Code::InvalidArgument, "MESSAGE_INVALID", "bytes, found");
    }
    let nothing = d.raw.answer(answer(&task, None)).await;
    assert_refused(nothing, Code::InvalidArgument, "MESSAGE_INVALID", "`message`");
    let oversized =
        v1::ShareKeys { shares: (0..100_000).map(|index| (index, vec![0; 112].into())).collect() };
    let refused = d.raw.answer(answer(&task, Some(Answer::ShareKeys(oversized)))).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "more than a message may have: {refused:?}");
    let other =
        v1::TrainTask { id: Some(v1::TaskId { attempt: 9, ..task.id.clone().unwrap() }), ..task.clone() };
    let early = d.raw.answer(answer(&other, Some(Answer::AdvertiseKeys((&keys).into())))).await;
    assert_eq!(reason(&early.unwrap_err()), "TASK_IN_THE_FUTURE");
    // The same twice is the same; a point of low order has no part in it.
    let low = federated_core::privacy::secagg::AdvertiseKeys { mask: AgreementPublic::from([0; 32]), ..keys };
    let low = ParticipantMessage::AdvertiseKeys(low);
    assert_eq!(reason(&d.say(&low).await.unwrap_err()), "SECAGG_ROSTER");
    for site in [&mut a, &mut b, &mut c] {
        let keys = site.begin().await;
        site.say(&keys).await.unwrap();
        site.say(&keys).await.expect("the same again is no harm");
    }
    for site in [&mut a, &mut b, &mut c] {
        let shares = site.next().await.unwrap();
        site.say(&shares).await.unwrap();
    }
    for (site, value) in [(&mut a, 1.0), (&mut b, 2.0), (&mut c, 3.0)] {
        assert_eq!(site.next().await, None);
        let update = site.update(value, 10);
        let long = update.clone().with_bytes(vec![0; update.bytes.len() + 4]);
        assert_eq!(reason(&site.raw.submit(&long).await.unwrap_err()), "UPDATE_WRONG_SIZE");
        site.raw.submit(&update).await.unwrap();
    }
    for site in [&mut a, &mut b, &mut c] {
        site.go_on().await;
    }
    for site in [&mut a, &mut b, &mut c] {
        site.go_on().await;
    }
    let (status, model) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors, ["a", "b", "c"]);
    assert!(model.values().iter().all(|value| (value - 2.0).abs() < 1e-5), "{:?}", model.values());
}
