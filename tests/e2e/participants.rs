//! The library's participant at work: rounds, policies, trainers that fail, tasks that are withdrawn.

use std::sync::atomic::Ordering;

use federated_client::{
    event::{JobOutcome, ParticipantEvent},
    trainer::{LocalTrainer, StopSignal, TrainerError},
};
use federated_core::{model::ModelParameters, task::TrainTask, update::ClientUpdate};
use federated_tests::{AddConstant, Client, Federation, Gate, Job, model};

fn declined(event: &ParticipantEvent) -> Option<(String, String)> {
    match event {
        ParticipantEvent::TaskDeclined { reason, message, .. } => Some((reason.clone(), message.clone())),
        _ => None,
    }
}

#[tokio::test]
async fn three_participants_train_three_rounds_and_hear_of_the_end() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let numbers = [("a", 4.0, 1), ("b", 8.0, 2), ("c", 0.5, 5)];
    let trainers = numbers.map(|(_, value, examples)| AddConstant::new(value, examples));
    let times = trainers.each_ref().map(AddConstant::times);
    let names = numbers.map(|(name, ..)| name);
    let mut clients = Vec::new();
    for (name, trainer) in names.into_iter().zip(trainers) {
        clients.push(Client::start(&federation.enroll(name), trainer));
    }
    operator.present(&names).await;
    let job = Job { rounds: 3, model: model(2, 1.0), ..Job::new("heart", 3) };
    operator.start(&job).await;
    for mut client in clients {
        let outcome = |event: &ParticipantEvent| match event {
            ParticipantEvent::JobEnded { job, outcome, .. } => Some((job.to_string(), *outcome)),
            _ => None,
        };
        let ended = client.event("the end of the job", outcome).await;
        assert_eq!(ended, ("heart".to_owned(), JobOutcome::Completed));
        client.ended().await.unwrap();
    }
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(2, 1.0 + 3.0 * 2.8125));
    assert!(status.history.iter().all(|round| round.contributors == names && round.attempt == 1));
    assert!(times.iter().all(|times| times.load(Ordering::SeqCst) == 3));
}

#[tokio::test]
async fn a_site_whose_policy_forbids_the_job_says_why_to_the_operator() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let bundles =
        ["a", "b", "cohort", "epochs", "layout", "size"].map(|name| (name, federation.enroll(name)));
    let mut clients = Vec::new();
    for (name, bundle) in &bundles {
        let mut config = Client::config(bundle);
        match *name {
            "cohort" => config.policy.min_cohort = 7,
            "epochs" => config.policy.max_local_epochs = 2,
            "layout" => config.policy.allowed_layouts = Some([model(3, 0.0).layout().digest()].into()),
            "size" => config.policy.max_model_bytes = 11,
            _ => {}
        }
        clients.push(Client::start_with(config, AddConstant::new(2.0, 1)));
    }
    operator.present(&bundles.each_ref().map(|(name, _)| *name)).await;
    let job = Job { quorum: 2, local_epochs: 3, ..Job::new("heart", 6) };
    operator.start(&job).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(2, 2.0));
    assert_eq!(status.history[0].contributors, ["a", "b"]);
    let mut seen: Vec<_> =
        status.incidents.into_iter().map(|i| (i.participant, i.reason, i.message)).collect();
    seen.sort();
    let layout = format!(
        "this site's policy.allowed_layouts does not have the layout {} of the task's model",
        model(2, 0.0).layout().digest()
    );
    let expected = [
        ("cohort", "POLICY_MIN_COHORT", "this site's policy.min_cohort is 7, the round has 6 participants"),
        ("epochs", "POLICY_LOCAL_EPOCHS", "this site's policy.max_local_epochs is 2, the task asks for 3"),
        ("layout", "POLICY_LAYOUT", &layout),
        ("size", "POLICY_MODEL_SIZE", "this site's policy.max_model is 11 bytes, the task's model has 12"),
    ];
    assert_eq!(
        seen,
        expected.map(|(site, reason, words)| (site.to_owned(), reason.to_owned(), words.to_owned()))
    );
    // Each of those sites knows it too, and goes on.
    for (client, (_, reason, words)) in clients[2..].iter_mut().zip(expected) {
        let told = client.event("the refusal", declined).await;
        assert_eq!(told, (reason.to_owned(), words.to_owned()));
    }
    for client in clients {
        client.ended().await.unwrap();
    }
}

/// A trainer that never gets there.
struct Fails(fn() -> TrainerError);

impl LocalTrainer for Fails {
    fn example_count(&self) -> u64 {
        1
    }

    fn train(
        &mut self,
        _: &TrainTask,
        _: ModelParameters,
        _: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        Err(self.0())
    }
}

#[tokio::test]
async fn a_trainer_that_fails_or_panics_ends_its_task_and_nothing_else() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let bundles = ["a", "b", "diverges", "fails", "panics"].map(|name| (name, federation.enroll(name)));
    let mut clients = Vec::new();
    for (name, bundle) in &bundles {
        clients.push(match *name {
            "diverges" => {
                Client::start(bundle, Fails(|| TrainerError::Diverged { epoch: 2, learning_rate: 9.0 }))
            }
            "fails" => Client::start(bundle, Fails(|| TrainerError::failed("patient Meier has no age"))),
            "panics" => Client::start(bundle, Fails(|| panic!("patient Meier again"))),
            _ => Client::start(bundle, AddConstant::new(2.0, 1)),
        });
    }
    operator.present(&bundles.each_ref().map(|(name, _)| *name)).await;
    operator.start(&Job { rounds: 2, quorum: 2, ..Job::new("heart", 5) }).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(2, 4.0));
    let reasons = |name: &str| -> Vec<_> {
        let of = status.incidents.iter().filter(|incident| incident.participant == name);
        of.map(|incident| incident.reason.as_str()).collect()
    };
    assert_eq!(reasons("diverges"), ["TRAINING_DIVERGED"; 2]);
    assert_eq!(reasons("fails"), ["TRAINING_FAILED"; 2]);
    assert_eq!(reasons("panics"), ["TRAINING_FAILED"; 2], "a participant outlives a panic of its trainer");
    let leaks: Vec<_> = status.incidents.iter().filter(|seen| seen.message.contains("Meier")).collect();
    assert!(leaks.is_empty(), "what a trainer says of its data stays at the site: {leaks:?}");
    for client in clients {
        client.ended().await.unwrap();
    }
}

/// Three participants, of which the last works until it is let go.
async fn with_a_slow_one(federation: &Federation) -> ([Client; 3], Gate) {
    let (slow, gate) = AddConstant::gated(100.0, 1);
    let a = Client::start(&federation.enroll("a"), AddConstant::new(1.0, 1));
    let b = Client::start(&federation.enroll("b"), AddConstant::new(3.0, 1));
    let c = Client::start(&federation.enroll("c"), slow);
    federation.operator().await.present(&["a", "b", "c"]).await;
    ([a, b, c], gate)
}

fn withdrawn(event: &ParticipantEvent) -> Option<String> {
    match event {
        ParticipantEvent::TaskWithdrawn { reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn a_participant_too_slow_for_the_round_is_stopped_and_takes_part_in_the_next() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let (clients, mut gate) = with_a_slow_one(&federation).await;
    // Two of three are enough; three are asked.
    let job = Job { rounds: 2, fraction: 0.6, over_selection: 2.0, quorum: 2, ..Job::new("heart", 3) };
    operator.start(&job).await;
    let [a, b, mut c] = clients;
    assert_eq!(gate.begun().await.round.get(), 1);
    assert_eq!(c.event("the withdrawal", withdrawn).await, "ROUND_CLOSED");
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(2, 4.0));
    assert!(status.incidents.is_empty(), "being slow is no offence: {:?}", status.incidents);
    for client in [a, b, c] {
        client.ended().await.unwrap();
    }
}

#[tokio::test]
async fn a_job_that_is_stopped_stops_the_training_under_way() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let (clients, mut gate) = with_a_slow_one(&federation).await;
    operator.start(&Job::new("heart", 3)).await;
    gate.begun().await;
    operator.client().stop(&"heart".parse().unwrap()).await.unwrap();
    for mut client in clients {
        let outcome = |event: &ParticipantEvent| match event {
            ParticipantEvent::JobEnded { outcome, message, .. } => Some((*outcome, message.clone())),
            _ => None,
        };
        let ended = client.event("the end of the job", outcome).await;
        assert_eq!(ended, (JobOutcome::Stopped, "an operator stopped the job".to_owned()));
        client.ended().await.unwrap();
    }
}
