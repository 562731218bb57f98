//! Secure aggregation in groups, whose sums a median combines.

use std::collections::BTreeSet;

use federated_client::event::ParticipantEvent;
use federated_tests::{AddConstant, Client, Federation, Job, Signatories, model};

const NAMES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

/// A job of nine sites in three groups.
fn job(quorum: u32) -> Job {
    Job {
        quorum,
        absence: "100ms",
        aggregation: "kind = \"median\"",
        secure_aggregation: "clip = 8.0\nmax_examples = 100\nmax_participants = 9\ngroups = 3".to_owned(),
        model: model(9, 0.0),
        ..Job::new("heart", 9)
    }
}

#[tokio::test]
async fn one_that_lies_moves_the_mean_of_its_own_group_alone() {
    let federation = Federation::start().await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let clients: Vec<Client> = NAMES
        .iter()
        .map(|name| {
            let change = if *name == "e" { -8.0 } else { 1.0 };
            Client::start_with(signatories.config(name), AddConstant::new(change, 10))
        })
        .collect();
    operator.present(&NAMES).await;
    operator.start(&job(9)).await;
    let (status, result) = operator.completed("heart").await;
    for client in clients {
        client.ended().await.unwrap();
    }
    let round = &status.history[0];
    assert_eq!((round.contributors.len(), round.examples), (9, 90));
    // The mean of all would be 0, and the median of the three groups' means, -2, 1 and 1, is 1.
    assert!(result.values().iter().all(|value| (value - 1.0).abs() < 1e-5), "{:?}", result.values());
}

#[tokio::test]
async fn who_is_gone_takes_its_group_with_it_and_the_round_goes_on_with_the_others() {
    let federation = Federation::start().await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let mut clients: Vec<(&str, Client)> = NAMES[1..]
        .iter()
        .map(|name| (*name, Client::start_with(signatories.config(name), AddConstant::new(1.0, 10))))
        .collect();
    let (trainer, mut gate) = AddConstant::gated(1.0, 10);
    let gone = Client::start_with(signatories.config(NAMES[0]), trainer);
    operator.present(&NAMES).await;
    operator.start(&job(6)).await;
    gate.begun().await;
    // The others' updates are in: the one that goes leaves masks in its group's sum that the threshold cannot take off.
    operator
        .until("heart", |status| {
            status
                .cohort
                .iter()
                .filter(|member| member.state() == federated_proto::v1::MemberState::Reported)
                .count()
                == 8
        })
        .await;
    gone.stop().await.unwrap();
    let (status, result) = operator.completed("heart").await;
    assert!(result.values().iter().all(|value| (value - 1.0).abs() < 1e-5), "{:?}", result.values());
    let round = &status.history[0];
    assert_eq!((round.contributors.len(), round.examples, status.history.len()), (6, 60, 1));
    let counted: BTreeSet<&str> = round.contributors.iter().map(String::as_str).collect();
    let left: Vec<&mut (&str, Client)> =
        clients.iter_mut().filter(|(name, _)| !counted.contains(name)).collect();
    assert_eq!(left.len(), 2);
    for (name, client) in left {
        let withdrawn = |event: &ParticipantEvent| match event {
            ParticipantEvent::TaskWithdrawn { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        assert_eq!(client.event("that its task is withdrawn", withdrawn).await, "SECAGG_COHORT", "{name}");
    }
}
