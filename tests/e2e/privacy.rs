//! Differential privacy in rounds: what is released has noise, and budgets end what would exceed them before it begins.

use std::{fs, path::PathBuf, sync::atomic::Ordering, time::SystemTime};

use federated_client::{
    config::{ParticipantConfig, SiteBudget},
    event::ParticipantEvent,
    trainer::{LocalTrainer, StopSignal, TrainerError},
};
use federated_core::{
    model::ModelParameters,
    privacy::{
        dp::{Delta, Epsilon, ledger::Ledger, report::PrivacyReport},
        secagg::VerifyingPublic,
    },
    task::TrainTask,
    update::ClientUpdate,
};
use federated_proto::{v1::JobState, version::MINOR_PRIVACY};
use federated_server::{backup, config::CoordinatorConfig};
use federated_tests::{AddConstant, Client, Federation, Job, Signatories, model};

const NAMES: [&str; 3] = ["a", "b", "c"];
/// A round with this noise multiplier spends about 1.1 at a delta of 1e-5, and five of them 2.7.
const CENTRAL: &str =
    "placement = \"central\"\nepsilon = 4.0\ndelta = 1e-5\nclip = 1.0\nnoise_multiplier = 4.0";

fn job(rounds: u32, privacy: &str) -> Job {
    Job { rounds, attempts: 1, privacy: privacy.to_owned(), model: model(9_999, 0.0), ..Job::new("heart", 3) }
}

/// A site that allows so much to be released from its records.
fn with_budget(config: ParticipantConfig, epsilon: f64) -> ParticipantConfig {
    let folder = config.state.with_file_name("privacy");
    let (epsilon, delta) = (Epsilon::new(epsilon).unwrap(), Delta::new(1e-5).unwrap());
    ParticipantConfig { privacy: Some(SiteBudget::new(epsilon, delta, folder)), ..config }
}

fn site(federation: &Federation, name: &str, epsilon: f64) -> ParticipantConfig {
    with_budget(Client::config(&federation.enroll(name)), epsilon)
}

fn ledger(path: PathBuf, key: &VerifyingPublic) -> Ledger {
    Ledger::verify(&fs::read(path).unwrap(), key).unwrap()
}

/// The ledger of the job at its coordinator.
fn job_ledger(federation: &Federation) -> Ledger {
    ledger(federation.folder().join("state/ledgers/heart.jsonl"), &federation.signing_key().public())
}

/// The report about the job, as the command makes it while the coordinator runs.
async fn report(federation: &Federation) -> PrivacyReport {
    let config = CoordinatorConfig::defaults_in(&federation.folder());
    let jobs = backup::jobs(&config).await.unwrap();
    let facts = jobs.first().unwrap().privacy_facts().unwrap();
    let (ledger, key) = (job_ledger(federation), federation.signing_key().public());
    PrivacyReport::of_job(facts, &ledger, &key, SystemTime::now().into()).unwrap()
}

fn declined(event: &ParticipantEvent) -> Option<(u32, String)> {
    match event {
        ParticipantEvent::TaskDeclined { task, reason, .. } => Some((task.round.get(), reason.clone())),
        _ => None,
    }
}

/// Each of three updates is 10,000 times 1, and clipped to a norm of 1; the noise on the mean has a standard deviation of 4 / 3.
/// The mean of 10,000 such values is within 0.08 of 0.01 and their deviation within 0.06 of 4 / 3, but for one run in 500 million.
#[tokio::test]
async fn the_coordinators_noise_is_on_the_mean_of_clipped_updates_and_all_books_say_so() {
    let federation = Federation::signing(|builder, _| builder).await;
    let mut operator = federation.operator().await;
    let sites = NAMES.map(|name| site(&federation, name, 8.0));
    let clients = sites.clone().map(|config| Client::start_with(config, AddConstant::new(1.0, 50)));
    operator.present(&NAMES).await;
    operator.start(&job(1, CENTRAL)).await;
    let (status, model) = operator.completed("heart").await;
    for client in clients {
        client.ended().await.unwrap();
    }
    let values: Vec<f64> = model.values().iter().copied().map(f64::from).collect();
    let mean = values.iter().sum::<f64>() / 1e4;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1e4).sqrt();
    assert!((mean - 0.01).abs() < 0.08, "{mean}");
    assert!((deviation - 4.0 / 3.0).abs() < 0.06, "{deviation}");
    let report = &status.history[0];
    assert_eq!(
        (report.examples, report.metrics.len()),
        (3, 0),
        "no weights and no metrics: they have no noise"
    );
    let ledger = job_ledger(&federation);
    assert_eq!((ledger.reserved(), ledger.refused()), (1, 0));
    for config in sites {
        let text = fs::read_to_string(config.privacy.unwrap().folder.join("ledger.jsonl")).unwrap();
        let reserved = text.lines().filter(|line| line.contains("\"reserved\"")).count();
        let committed = text.lines().filter(|line| line.contains("\"committed\"")).count();
        assert_eq!((reserved, committed), (1, 1), "{text}");
    }
}

#[tokio::test]
async fn a_job_ends_before_the_round_that_its_budget_does_not_pay_for() {
    let federation = Federation::signing(|builder, _| builder).await;
    let mut operator = federation.operator().await;
    let trainers = NAMES.map(|_| AddConstant::new(1.0, 50));
    let times = trainers.each_ref().map(AddConstant::times);
    let clients: Vec<Client> = NAMES
        .iter()
        .zip(trainers)
        .map(|(name, trainer)| Client::start_with(site(&federation, name, 100.0), trainer))
        .collect();
    operator.present(&NAMES).await;
    // Two rounds spend 1.6.
    operator.start(&job(5, &CENTRAL.replace("4.0\ndelta", "2.0\ndelta"))).await;
    let status = operator.ended("heart").await;
    assert_eq!(status.state(), JobState::Failed);
    assert!(status.message.contains("the privacy budget does not pay for it"), "{}", status.message);
    assert!(status.message.contains("epsilon"), "{}", status.message);
    drop(clients);
    let ledger = job_ledger(&federation);
    let completed = status.history.iter().filter(|round| round.completed).count();
    assert!((1..5).contains(&completed), "{status:#?}");
    assert_eq!((ledger.reserved(), ledger.refused()), (completed as u64, 1));
    assert!(ledger.spent().unwrap().epsilon <= 2.0);
    let report = report(&federation).await;
    assert_eq!((report.discrepancies.as_slice(), report.ledger.refused), (&[][..], 1), "{report}");
    let rounds = &report.run.as_ref().unwrap().facts.rounds;
    assert!(
        rounds.iter().take(completed).all(|round| (round.cohort, round.survivors.len()) == (3, 3)),
        "{report}"
    );
    assert!(rounds.last().unwrap().refused && rounds.len() == completed + 1, "{report}");
    for times in times {
        assert_eq!(times.load(Ordering::SeqCst), u32::try_from(completed).unwrap(), "nobody was asked");
    }
}

#[tokio::test]
async fn a_site_declines_the_round_that_would_pass_its_own_limit_and_the_others_go_on() {
    let federation = Federation::signing(|builder, _| builder).await;
    let mut operator = federation.operator().await;
    // For its records a round counts with half the noise: about 1.9, and two of them 2.9.
    let limits = [100.0, 100.0, 2.4];
    let mut clients: Vec<Client> = NAMES
        .iter()
        .zip(limits)
        .map(|(name, limit)| Client::start_with(site(&federation, name, limit), AddConstant::new(1.0, 50)))
        .collect();
    operator.present(&NAMES).await;
    operator.start(&Job { quorum: 2, ..job(3, CENTRAL) }).await;
    let refused = clients[2].event("a refusal", declined).await;
    assert_eq!(refused, (2, "PRIVACY_BUDGET".to_owned()));
    let (status, _) = operator.completed("heart").await;
    let contributors: Vec<usize> = status.history.iter().map(|round| round.contributors.len()).collect();
    assert_eq!(contributors, [3, 2, 2]);
    assert!(status.incidents.iter().all(|incident| incident.reason == "PRIVACY_BUDGET"), "{status:#?}");
}

#[tokio::test]
async fn a_site_without_a_budget_or_with_a_trainer_without_noise_takes_no_part() {
    let federation = Federation::signing(|builder, _| builder).await;
    let mut operator = federation.operator().await;
    let mut without = Client::start(&federation.enroll("a"), Hiding(AddConstant::new(1.0, 50)));
    let mut unaware = Client::start_with(site(&federation, "b", 8.0), AddConstant::new(1.0, 50));
    let mut aware = Client::start_with(site(&federation, "c", 8.0), Hiding(AddConstant::new(1.0, 50)));
    operator.present(&NAMES).await;
    let local = CENTRAL.replace("central", "local");
    operator.start(&Job { quorum: 1, ..job(1, &local) }).await;
    assert_eq!(without.event("a refusal", declined).await.1, "PRIVACY_NO_BUDGET");
    assert_eq!(unaware.event("a refusal", declined).await.1, "PRIVACY_UNSUPPORTED");
    let trained = |event: &ParticipantEvent| matches!(event, ParticipantEvent::Trained { .. }).then_some(());
    aware.event("its training", trained).await;
    let (status, _) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors, ["c"]);
    assert!(status.history[0].metrics.is_empty(), "a private update comes without metrics");
}

/// A trainer that says it adds noise to its steps. What it does is of no matter here.
struct Hiding(AddConstant);

impl LocalTrainer for Hiding {
    fn example_count(&self) -> u64 {
        self.0.example_count()
    }

    fn hides_records(&self) -> bool {
        true
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        self.0.train(task, model, stop)
    }
}

#[tokio::test]
async fn a_participant_of_an_older_version_gets_no_private_task() {
    let federation = Federation::signing(|builder, _| builder).await;
    let mut operator = federation.operator().await;
    let mut old = federation.participant("a").await;
    let _line = old.attend_up_to(MINOR_PRIVACY - 1).await;
    operator.present(&["a"]).await;
    operator.start(&Job { min_participants: 1, quorum: 1, ..job(1, CENTRAL) }).await;
    let status = operator.ended("heart").await;
    assert_eq!(status.state(), JobState::Failed);
    assert!(
        status.message.contains("expected minor version 3 for differential privacy, found 2"),
        "{status:#?}"
    );
}

#[tokio::test]
async fn a_private_job_needs_a_key_that_signs_its_ledger() {
    let federation = Federation::start().await;
    let refused = federation.operator().await.try_start(&job(1, CENTRAL)).await.unwrap_err();
    assert!(refused.to_string().contains("federated-coordinator signing-key"), "{refused}");
}

/// An attempt that was paid for before a crash is not paid for again when it goes on.
#[tokio::test]
async fn a_coordinator_that_was_killed_pays_once_for_the_attempt_that_goes_on() {
    let mut federation = Federation::signing(|builder, _| builder).await;
    let configs = NAMES.map(|name| site(&federation, name, 100.0));
    let mut gates = Vec::new();
    let mut clients = Vec::new();
    for config in configs {
        let (trainer, gate) = AddConstant::gated(1.0, 50);
        clients.push(Client::start_with(config, trainer));
        gates.push(gate);
    }
    let mut operator = federation.operator().await;
    operator.present(&NAMES).await;
    operator.start(&job(2, CENTRAL)).await;
    for gate in &mut gates {
        gate.begun().await;
    }
    federation.kill().await;
    assert_eq!(job_ledger(&federation).reserved(), 1);
    federation.serve().await;
    for gate in &gates {
        gate.go();
        gate.go();
    }
    let (_, _) = federation.operator().await.completed("heart").await;
    let ledger = job_ledger(&federation);
    assert_eq!((ledger.reserved(), ledger.refused()), (2, 0));
    drop(clients);
}

/// Four participants, of whom three are sure to add noise: the mean's has a standard deviation of 4 * sqrt(4 / 3) / 4 = 1.155. The
/// bounds are as above.
#[tokio::test]
async fn noise_that_is_shared_out_is_in_the_masked_sum() {
    let names = ["a", "b", "c", "d"];
    let federation = Federation::signing(|builder, _| builder).await;
    let signatories = Signatories::enroll(&federation, &names);
    let mut operator = federation.operator().await;
    let start = |name: &&str| {
        let config = with_budget(signatories.config(name), 8.0);
        Client::start_with(config, AddConstant::new(1.0, 50))
    };
    let clients: Vec<Client> = names.iter().map(start).collect();
    operator.present(&names).await;
    let job = Job {
        secure_aggregation: "clip = 1.0\nmax_examples = 1\nmax_participants = 4".to_owned(),
        min_participants: 4,
        quorum: 3,
        ..job(1, &CENTRAL.replace("central", "distributed"))
    };
    operator.start(&job).await;
    let (status, model) = operator.completed("heart").await;
    for client in clients {
        client.ended().await.unwrap();
    }
    let values: Vec<f64> = model.values().iter().copied().map(f64::from).collect();
    let mean = values.iter().sum::<f64>() / 1e4;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1e4).sqrt();
    assert!((mean - 0.01).abs() < 0.08, "{mean}");
    assert!((deviation - 1.1547).abs() < 0.05, "{deviation}");
    assert_eq!((status.history[0].examples, status.history[0].metrics.len()), (4, 0));
    assert_eq!(job_ledger(&federation).reserved(), 1);
}
