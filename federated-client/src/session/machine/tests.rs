use federated_core::model::ModelParameters;
use federated_proto::convert::ModelContent;

use super::*;
use crate::{event::JobOutcome, session::fixture::task};

fn machine() -> Machine {
    let mut machine =
        Machine::new(Rules { policy: SitePolicy::default(), keep_final_model: false, stop_after_jobs: None });
    assert!(machine.handle(Input::Connected).is_empty());
    machine
}

fn trained(task: &TrainTask) -> Input {
    Input::Trained {
        task: task.id.clone(),
        examples: federated_core::update::ExampleCount::new(7).unwrap(),
        metrics: Default::default(),
        elapsed: std::time::Duration::ZERO,
    }
}

fn ready(task: &TrainTask) -> Input {
    Input::ModelReady { task: task.id.clone() }
}

fn withdrawn(task: &TrainTask) -> Input {
    Input::Withdrawn { task: task.id.clone(), reason: "ROUND_CLOSED".to_owned(), message: String::new() }
}

fn failed(task: &TrainTask, reason: &str) -> Input {
    Input::Failed { task: task.id.clone(), reason: reason.to_owned(), message: "why".to_owned() }
}

fn submitted(task: &TrainTask, duplicate: bool) -> Input {
    Input::Submitted { task: task.id.clone(), content: task.model, duplicate }
}

/// What is done, without reports and cleaning up.
fn deeds(actions: Vec<Action>) -> Vec<Action> {
    let counts = |action: &Action| {
        !matches!(
            action,
            Action::Report(_)
                | Action::RetainModels
                | Action::ConfirmUpdate { .. }
                | Action::DiscardUpdate { .. }
                | Action::Cancel { .. }
        )
    };
    actions.into_iter().filter(counts).collect()
}

fn upload(task: &TrainTask, resume: bool) -> Vec<Action> {
    vec![Action::Upload { task: task.clone(), resume }]
}

/// Brings a task as far as its upload.
fn up_to_upload(machine: &mut Machine, task: &TrainTask) {
    assert_eq!(deeds(machine.handle(Input::Train(task.clone()))), [Action::Prepare(task.clone())]);
    assert_eq!(deeds(machine.handle(ready(task))), [Action::Train(task.clone())]);
    assert_eq!(deeds(machine.handle(trained(task))), upload(task, false));
}

#[test]
fn a_task_is_fetched_trained_and_uploaded_once_however_often_it_is_named() {
    let (mut machine, task) = (machine(), task("heart", 1));
    let again = || Input::Train(task.clone());
    assert_eq!(deeds(machine.handle(again())), [Action::Prepare(task.clone())]);
    assert!(machine.handle(again()).is_empty());
    assert_eq!(deeds(machine.handle(ready(&task))), [Action::Train(task.clone())]);
    assert!(machine.handle(again()).is_empty());
    assert!(machine.handle(ready(&task)).is_empty(), "reported twice");
    assert_eq!(deeds(machine.handle(trained(&task))), upload(&task, false));
    assert!(machine.handle(again()).is_empty());
    let actions = machine.handle(submitted(&task, false));
    let event = ParticipantEvent::Submitted { task: task.id.clone(), content: task.model, duplicate: false };
    assert_eq!(actions, [Action::ConfirmUpdate { task: task.id.clone() }, Action::Report(event)]);
    assert_eq!(machine.models(), [task.model].into());
}

#[test]
fn an_answered_task_that_is_named_again_is_answered_again() {
    let (mut machine, task) = (machine(), task("heart", 1));
    up_to_upload(&mut machine, &task);
    machine.handle(submitted(&task, false));
    assert_eq!(deeds(machine.handle(Input::Train(task.clone()))), upload(&task, true));
    assert!(deeds(machine.handle(submitted(&task, true))).is_empty());
}

#[test]
fn a_task_against_the_policy_is_declined_with_the_reason_and_again_after_reconnecting() {
    let (mut machine, mut task) = (machine(), task("heart", 1));
    task.cohort_size = 1;
    let actions = machine.handle(Input::Train(task.clone()));
    let decline = |actions: &[Action]| {
        actions.iter().any(|action| {
            matches!(action, Action::Decline { reason, message, .. }
                if reason == "POLICY_MIN_COHORT" && message.contains("is 2, the round has 1"))
        })
    };
    assert!(decline(&actions), "{actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::Prepare(_))));
    machine.handle(Input::Disconnected);
    assert!(decline(&machine.handle(Input::Connected)), "not noted yet");
    machine.handle(Input::DeclineNoted { task: task.id.clone() });
    machine.handle(Input::Disconnected);
    assert!(machine.handle(Input::Connected).is_empty());
    assert!(decline(&machine.handle(Input::Train(task))), "the coordinator asks once more");
}

#[test]
fn training_goes_on_while_disconnected_and_the_update_follows() {
    let (mut machine, task) = (machine(), task("heart", 1));
    machine.handle(Input::Train(task.clone()));
    machine.handle(ready(&task));
    machine.handle(Input::Disconnected);
    assert!(deeds(machine.handle(trained(&task))).is_empty());
    assert_eq!(machine.handle(Input::Connected), upload(&task, true));
    machine.handle(Input::Disconnected);
    assert_eq!(machine.handle(Input::Connected), upload(&task, true));
}

#[test]
fn a_download_that_broke_is_prepared_again() {
    let (mut machine, task) = (machine(), task("heart", 1));
    machine.handle(Input::Train(task.clone()));
    machine.handle(Input::Disconnected);
    assert_eq!(machine.handle(Input::Connected), [Action::Prepare(task)]);
}

#[test]
fn an_update_from_before_a_restart_is_sent_without_training() {
    let (mut machine, task) = (machine(), task("heart", 1));
    machine.handle(Input::Train(task.clone()));
    let actions = machine.handle(Input::UpdateFound { task: task.id.clone() });
    assert_eq!(actions, upload(&task, true));
}

#[test]
fn a_withdrawn_task_stops_the_trainer_and_what_it_still_makes_is_thrown_away() {
    let (mut machine, task) = (machine(), task("heart", 1));
    machine.handle(Input::Train(task.clone()));
    machine.handle(ready(&task));
    let actions = machine.handle(withdrawn(&task));
    assert!(actions.contains(&Action::StopTraining), "{actions:?}");
    assert!(machine.models().is_empty());
    assert_eq!(machine.handle(trained(&task)), [Action::DiscardUpdate { task: task.id.clone() }]);
    assert!(machine.handle(withdrawn(&task)).is_empty());
}

#[test]
fn the_next_task_waits_until_the_trainer_has_stopped() {
    let (mut machine, first, second) = (machine(), task("heart", 1), task("heart", 2));
    machine.handle(Input::Train(first.clone()));
    machine.handle(ready(&first));
    let actions = machine.handle(Input::Train(second.clone()));
    assert_eq!(deeds(actions), [Action::StopTraining, Action::Prepare(second.clone())]);
    assert!(machine.handle(ready(&second)).is_empty());
    let actions = machine.handle(failed(&first, "TRAINING_STOPPED"));
    assert_eq!(actions, [Action::Train(second)], "and nothing is declined");
}

#[test]
fn jobs_take_turns_at_the_trainer() {
    let (mut machine, heart, lung) = (machine(), task("heart", 1), task("lung", 1));
    for task in [&heart, &lung] {
        machine.handle(Input::Train(task.clone()));
    }
    assert_eq!(deeds(machine.handle(ready(&lung))), [Action::Train(lung.clone())]);
    assert!(machine.handle(ready(&heart)).is_empty());
    let expected = [vec![Action::Train(heart)], upload(&lung, false)].concat();
    assert_eq!(deeds(machine.handle(trained(&lung))), expected);
}

#[test]
fn a_task_whose_model_another_job_took_fetches_it_again() {
    let (mut machine, heart, lung) = (machine(), task("heart", 1), task("lung", 1));
    for task in [&heart, &lung] {
        machine.handle(Input::Train(task.clone()));
        machine.handle(ready(task));
    }
    machine.handle(trained(&heart));
    let gone = Input::ModelGone { task: lung.id.clone() };
    assert_eq!(machine.handle(gone.clone()), [Action::Prepare(lung.clone())]);
    assert!(machine.handle(gone).is_empty(), "reported twice");
    assert_eq!(machine.handle(ready(&lung)), [Action::Train(lung)], "the trainer is idle");
}

#[test]
fn failed_training_declines_the_task_and_the_trainer_takes_the_next() {
    let (mut machine, heart, lung) = (machine(), task("heart", 1), task("lung", 1));
    for task in [&heart, &lung] {
        machine.handle(Input::Train(task.clone()));
        machine.handle(ready(task));
    }
    let actions = deeds(machine.handle(failed(&heart, "TRAINING_FAILED")));
    assert_eq!(actions[0], Action::Train(lung));
    assert!(matches!(&actions[1], Action::Decline { reason, .. } if reason == "TRAINING_FAILED"));
}

#[test]
fn a_refused_update_is_thrown_away_and_not_made_again() {
    let (mut machine, task) = (machine(), task("heart", 1));
    up_to_upload(&mut machine, &task);
    let refused = Input::Refused {
        task: task.id.clone(),
        reason: "UPDATE_NOT_FINITE".to_owned(),
        message: "why".to_owned(),
    };
    let actions = machine.handle(refused.clone());
    assert_eq!(actions[0], Action::DiscardUpdate { task: task.id.clone() });
    assert!(
        matches!(&actions[1], Action::Report(ParticipantEvent::Refused { reason, .. }) if reason == "UPDATE_NOT_FINITE")
    );
    assert!(machine.handle(refused).is_empty());
    let again = machine.handle(Input::Train(task));
    assert!(
        matches!(&again[..], [Action::Decline { reason, .. }] if reason == "UPDATE_NOT_FINITE"),
        "{again:?}"
    );
}

#[test]
fn a_task_of_the_same_name_in_another_run_is_another_task() {
    let (mut machine, task) = (machine(), task("heart", 1));
    up_to_upload(&mut machine, &task);
    let other = TrainTask { seed: 99, ..task };
    let actions = machine.handle(Input::Train(other.clone()));
    assert!(actions.contains(&Action::DiscardUpdate { task: other.id.clone() }));
    assert_eq!(deeds(actions), [Action::Prepare(other)]);
}

fn ended(model: Option<&TrainTask>) -> EndedJob {
    EndedJob {
        job: "heart".parse().unwrap(),
        outcome: JobOutcome::Completed,
        message: String::new(),
        model: model.map(|task| ModelContent { layout: task.layout.clone(), digest: task.model }),
    }
}

#[test]
fn the_end_of_a_job_is_told_once_and_its_task_is_over() {
    let (mut machine, task) = (machine(), task("heart", 1));
    machine.rules.stop_after_jobs = Some(2);
    machine.handle(Input::Train(task.clone()));
    machine.handle(ready(&task));
    let actions = machine.handle(Input::JobEnded(ended(Some(&task))));
    assert!(actions.contains(&Action::StopTraining) && !actions.contains(&Action::Finish), "{actions:?}");
    assert!(actions.contains(&Action::DiscardJob { job: task.id.job.clone() }));
    assert!(machine.handle(Input::JobEnded(ended(Some(&task)))).is_empty());
    let other = EndedJob { job: "lung".parse().unwrap(), ..ended(None) };
    assert_eq!(machine.handle(Input::JobEnded(other)).last(), Some(&Action::Finish));
}

#[test]
fn the_final_model_is_fetched_across_broken_connections_before_the_end_is_told() {
    let (mut machine, task) = (machine(), task("heart", 1));
    machine.rules.keep_final_model = true;
    machine.rules.stop_after_jobs = Some(1);
    let end = ended(Some(&task));
    let actions = machine.handle(Input::JobEnded(end.clone()));
    assert_eq!(actions.last(), Some(&Action::FetchFinal(end.clone())));
    assert!(machine.handle(Input::JobEnded(end.clone())).is_empty());
    assert_eq!(machine.models(), [task.model].into());
    machine.handle(Input::Disconnected);
    assert_eq!(machine.handle(Input::Connected), [Action::FetchFinal(end)]);
    let model = ModelParameters::zeros(task.layout).unwrap();
    let actions = machine.handle(Input::FinalModel { job: task.id.job, model: Some(model.clone()) });
    assert!(
        matches!(&actions[0], Action::Report(ParticipantEvent::JobEnded { model: Some(found), .. }) if *found == model)
    );
    assert_eq!(actions.last(), Some(&Action::Finish));
    assert!(machine.models().is_empty());
}

#[test]
fn a_task_that_cannot_be_understood_is_declined() {
    let (mut machine, task) = (machine(), task("heart", 1));
    let unusable = Input::Unusable {
        task: task.id.clone(),
        reason: "MESSAGE_INVALID".to_owned(),
        message: "why".to_owned(),
    };
    assert!(matches!(&machine.handle(unusable)[..], [Action::Decline { task: id, .. }] if *id == task.id));
}
