//! Secure aggregation over real sockets: what comes out, who may vanish when, and what a coordinator that lies is told.

use federated_client::event::ParticipantEvent;
use federated_proto::v1;
use federated_tests::{AddConstant, Client, Federation, Job, SecureSite, Signatories, model};

/// Features of the model.
const FEATURES: u64 = 999;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A job of these sites whose updates are masked, with the weights of at most 100 examples each.
fn job(rounds: u32) -> Job {
    Job {
        rounds,
        quorum: 3,
        secure_aggregation: "clip = 8.0\nmax_examples = 100\nmax_participants = 4\nmetrics = { loss = 10.0 }"
            .to_owned(),
        model: model(FEATURES, 0.0),
        ..Job::new("heart", 4)
    }
}

#[tokio::test]
async fn the_coordinator_gets_the_mean_of_all_and_no_update_metric_or_count_of_one() {
    let federation = Federation::start().await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let clients: Vec<Client> = NAMES
        .iter()
        .zip([(1.0, 10), (2.0, 20), (3.0, 30), (4.0, 40)])
        .map(|(name, (value, examples))| {
            Client::start_with(signatories.config(name), AddConstant::new(value, examples))
        })
        .collect();
    operator.present(&NAMES).await;
    operator.start(&job(2)).await;
    let (status, result) = operator.completed("heart").await;
    for client in clients {
        client.ended().await.unwrap();
    }
    let round: &v1::RoundReport = &status.history[0];
    assert_eq!((round.contributors.len(), round.examples), (4, 100));
    // The mean of 1, 2, 3, 4 with the weights 10, 20, 30, 40 is 3, in each of two rounds.
    assert!((round.metrics["loss"] - 3.0).abs() < 1e-6, "{}", round.metrics["loss"]);
    assert!(result.values().iter().all(|value| (value - 6.0).abs() < 1e-5), "{:?}", &result.values()[..4]);
    assert!(round.bytes_up > 4 * 4_000, "as many bytes as the model, and a little before them");
    assert_eq!(round.bytes_up, round.bytes_up_plain);
    // Keys, a commitment and a signature; a pair of shares for each of three; a signature; a share of each of four.
    let (up, least) = (round.session_bytes_up, 4 * (160 + 3 * 88 + 64 + 4 * 32));
    assert!((least..2 * least).contains(&up), "{up} bytes");
    // Everyone's keys; three pairs of shares; everyone's signatures.
    let (down, least) = (round.session_bytes_down, 4 * (4 * 160 + 3 * 88 + 4 * 64));
    assert!((least..2 * least).contains(&down), "{down} bytes");
    let total = |of: fn(&v1::RoundReport) -> u64| status.history.iter().map(of).sum::<u64>();
    assert_eq!(status.session_bytes_up, total(|round| round.session_bytes_up));
    assert_eq!(status.session_bytes_down, total(|round| round.session_bytes_down));
}

#[tokio::test]
async fn a_site_that_is_started_anew_has_dropped_out_and_the_round_goes_on_with_the_others() {
    let federation = Federation::start().await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let mut clients = Vec::new();
    for name in &NAMES[..3] {
        clients.push(Client::start_with(signatories.config(name), AddConstant::new(1.0, 10)));
    }
    let (trainer, mut gate) = AddConstant::gated(9.0, 10);
    let lost = Client::start_with(signatories.config("d"), trainer);
    operator.present(&NAMES).await;
    operator.start(&job(1)).await;
    gate.begun().await;
    lost.stop().await.unwrap();
    let mut back = Client::start_with(signatories.config("d"), AddConstant::new(9.0, 10));
    let reason = back
        .event("that it declines", |event| match event {
            ParticipantEvent::TaskDeclined { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await;
    assert_eq!(reason, "SECAGG_SESSION_LOST");
    let (status, result) = operator.completed("heart").await;
    let round = &status.history[0];
    assert_eq!((round.contributors.clone(), round.examples), (vec!["a".into(), "b".into(), "c".into()], 30));
    assert!(result.values().iter().all(|value| (value - 1.0).abs() < 1e-5));
    assert_eq!(status.history.len(), 1, "no attempt was abandoned");
}

#[tokio::test]
async fn a_site_that_is_started_anew_after_its_update_is_in_says_so_and_nobody_waits_for_it() {
    let federation = Federation::start().await;
    let signatories = Signatories::enroll(&federation, &NAMES);
    let mut operator = federation.operator().await;
    let mut sites = four(&federation, &signatories).await;
    drop(sites.pop());
    let mut lost = Client::start_with(signatories.config("d"), AddConstant::new(5.0, 10));
    operator.present(&NAMES).await;
    operator.start(&job(1)).await;
    for number in 0..2 {
        for site in &mut sites {
            step(site, number).await;
        }
    }
    let submitted =
        |event: &ParticipantEvent| matches!(event, ParticipantEvent::Submitted { .. }).then_some(());
    lost.event("its receipt", submitted).await;
    lost.stop().await.unwrap();
    let back = Client::start_with(signatories.config("d"), AddConstant::new(5.0, 10));
    for site in &mut sites {
        step(site, 2).await;
    }
    let said = operator.until("heart", |status| !status.incidents.is_empty()).await;
    assert_eq!(said.incidents[0].reason, "SECAGG_SESSION_LOST");
    for number in 3..STEPS.len() {
        for site in &mut sites {
            step(site, number).await;
        }
    }
    let (status, result) = operator.completed("heart").await;
    assert_eq!((status.history[0].contributors.len(), status.history[0].examples), (4, 40));
    assert!(result.values().iter().all(|value| (value - 2.0).abs() < 1e-5), "{:?}", &result.values()[..3]);
    back.ended().await.unwrap();
}

/// Four members that are made of bare calls.
async fn four(federation: &Federation, signatories: &Signatories) -> Vec<SecureSite> {
    let mut sites = Vec::new();
    for name in NAMES {
        sites.push(SecureSite::join(federation, signatories, name).await);
    }
    sites
}

/// What a participant does in a session, in its order.
const STEPS: [&str; 5] = ["its keys", "its shares", "its update", "its signature", "what unmasks"];

/// Does one step of a session.
async fn step(site: &mut SecureSite, step: usize) {
    match step {
        0 => {
            let keys = site.begin().await;
            site.say(&keys).await.unwrap();
        }
        2 => {
            assert_eq!(site.next().await, None);
            let update = site.update(1.0, 10);
            site.raw.submit(&update).await.unwrap();
        }
        _ => site.go_on().await,
    }
}

#[tokio::test]
async fn a_participant_may_die_at_each_stage_and_its_update_counts_if_it_was_in() {
    for (dies_before, what) in STEPS.into_iter().enumerate() {
        let federation = Federation::start().await;
        let signatories = Signatories::enroll(&federation, &NAMES);
        let mut operator = federation.operator().await;
        let mut sites = four(&federation, &signatories).await;
        // Whoever is gone is given up at once: nobody comes back.
        operator.start(&Job { absence: "0s", attempts: 1, ..job(1) }).await;
        for number in 0..STEPS.len() {
            if number == dies_before {
                drop(sites.pop());
            }
            for site in &mut sites {
                step(site, number).await;
            }
        }
        let (status, result) = operator.completed("heart").await;
        let counted = if dies_before > 2 { 4 } else { 3 };
        assert_eq!(status.history[0].contributors.len(), counted, "dies before {what}");
        assert_eq!(status.history[0].examples, 10 * counted as u64);
        assert!(result.values().iter().all(|value| (value - 1.0).abs() < 1e-5));
    }
}

#[tokio::test]
async fn the_coordinator_may_be_killed_between_any_two_stages_and_the_round_goes_on() {
    let mut results = Vec::new();
    for killed_before in 0..=STEPS.len() {
        let mut federation = Federation::start().await;
        let signatories = Signatories::enroll(&federation, &NAMES);
        let mut operator = federation.operator().await;
        let mut sites = four(&federation, &signatories).await;
        operator.start(&job(1)).await;
        for number in 0..STEPS.len() {
            if number == killed_before {
                federation.kill().await;
                federation.serve().await;
                for site in &mut sites {
                    site.reconnect(&federation).await;
                }
            }
            for site in &mut sites {
                step(site, number).await;
            }
        }
        let (status, result) = federation.operator().await.completed("heart").await;
        assert_eq!((status.history.len(), status.history[0].contributors.len()), (1, 4));
        results.push(result);
    }
    assert!(results.iter().all(|result| result == &results[0]), "the same bits wherever it was killed");
}
