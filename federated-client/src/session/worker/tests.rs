use federated_core::{
    metrics::Metrics,
    model::ModelParameters,
    privacy::dp::{Delta, Epsilon},
    update::{ClientUpdate, ExampleCount},
};

use super::*;
use crate::{config::SiteBudget, privacy::LedgerCopy, session::fixture};

/// A trainer that does what the test says.
struct Trainer<F>(F);

impl<F> LocalTrainer for Trainer<F>
where
    F: FnMut(ModelParameters, &StopSignal) -> Result<ModelParameters, TrainerError> + Send,
{
    fn example_count(&self) -> u64 {
        7
    }

    fn train(
        &mut self,
        _: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        Ok(ClientUpdate {
            delta: (self.0)(model, stop)?,
            examples: ExampleCount::new(7)?,
            metrics: Metrics::new(),
        })
    }
}

/// A site without a privacy budget.
fn site(state: &StateFolder) -> Site<'_> {
    static NONE: Books = Books::NONE;
    Site { state, books: &NONE }
}

fn give_model(state: &StateFolder, task: &TrainTask) {
    let mut partial = state.download(task.model, &task.layout).unwrap().unwrap();
    partial.append(&fixture::model_bytes()).unwrap();
    partial.finish(state).unwrap();
}

fn state_with_model(root: &std::path::Path) -> StateFolder {
    let (state, task) = (StateFolder::open(root).unwrap(), fixture::task("heart", 1));
    give_model(&state, &task);
    state
}

fn failure(
    train_with: impl FnMut(ModelParameters, &StopSignal) -> Result<ModelParameters, TrainerError> + Send,
) -> (String, String) {
    let root = tempfile::tempdir().unwrap();
    let (state, task) = (state_with_model(root.path()), fixture::task("heart", 1));
    let input = train(&mut Trainer(train_with), site(&state), &task, &StopSignal::new(), None);
    assert!(state.find_update(&task).unwrap().is_none());
    match input {
        Input::Failed { reason, message, .. } => (reason, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_model_that_another_task_took_is_asked_for_again() {
    let root = tempfile::tempdir().unwrap();
    let (state, heart, lung) =
        (state_with_model(root.path()), fixture::task("heart", 1), fixture::task("lung", 1));
    let mut trainer = Trainer(|model, _: &StopSignal| Ok(model));
    train(&mut trainer, site(&state), &heart, &StopSignal::new(), None);
    let input = train(&mut trainer, site(&state), &lung, &StopSignal::new(), None);
    assert_eq!(input, Input::ModelGone { task: lung.id });
}

#[test]
fn an_update_is_durable_before_it_is_reported() {
    let root = tempfile::tempdir().unwrap();
    let (state, task) = (state_with_model(root.path()), fixture::task("heart", 1));
    let input =
        train(&mut Trainer(|model, _: &StopSignal| Ok(model)), site(&state), &task, &StopSignal::new(), None);
    assert!(matches!(&input, Input::Trained { task: id, .. } if *id == task.id), "{input:?}");
    let update = state.find_update(&task).unwrap().unwrap();
    assert_eq!(update.header().content, task.model);
}

#[test]
fn an_update_that_the_encoding_cannot_hold_is_declined_with_the_reason() {
    let root = tempfile::tempdir().unwrap();
    let (state, plain) = (state_with_model(root.path()), fixture::task("heart", 1));
    let task = TrainTask { encoding: "f16".parse().unwrap(), ..plain };
    let trainer = |model: ModelParameters, _: &StopSignal| {
        Ok(ModelParameters::new(model.layout().clone(), vec![0.0, 1e5])?)
    };
    let input = train(&mut Trainer(trainer), site(&state), &task, &StopSignal::new(), None);
    assert!(
        matches!(&input, Input::Failed { reason, message, .. } if reason == "ENCODING_OVERFLOW" && message.contains("bf16")),
        "{input:?}"
    );
}

#[test]
fn what_an_application_says_about_its_failure_stays_at_the_site() {
    let (reason, message) = failure(|_, _| Err(TrainerError::failed("patient 17 has no age")));
    assert_eq!(reason, "TRAINING_FAILED");
    assert!(!message.contains("17"), "{message}");
    let (reason, message) = failure(|_, _| panic!("patient 17"));
    assert_eq!(reason, "TRAINING_FAILED");
    assert!(message.contains("panicked") && !message.contains("17"), "{message}");
}

#[test]
fn an_update_of_another_layout_or_after_a_stop_is_not_kept() {
    let other = fixture::task("heart", 1).layout.tensors().to_vec();
    let renamed = other.into_iter().map(|mut tensor| {
        tensor.name.push('x');
        tensor
    });
    let layout = federated_core::model::ModelLayout::new(renamed.collect()).unwrap();
    let (reason, message) = failure(move |_, _| Ok(ModelParameters::zeros(layout.clone()).unwrap()));
    assert_eq!(reason, "TRAINING_FAILED");
    assert!(message.contains("does not fit the model"), "{message}");
    let (reason, _) = failure(|model, stop| {
        stop.raise();
        Ok(model)
    });
    assert_eq!(reason, "TRAINING_STOPPED");
}

#[tokio::test]
async fn one_trainer_does_one_task_after_another_and_its_thread_ends_with_the_session() {
    let root = tempfile::tempdir().unwrap();
    let state = Arc::new(state_with_model(root.path()));
    let (occurrences, mut queue) = mpsc::channel(4);
    let mut tasks = 0_u8;
    let trainer = Trainer(move |model: ModelParameters, _: &StopSignal| {
        tasks += 1;
        let values = vec![f32::from(tasks); 2];
        Ok(ModelParameters::new(model.layout().clone(), values)?)
    });
    let mut worker = Worker::start(Box::new(trainer), Arc::clone(&state), Books::NONE, occurrences).unwrap();
    for round in [1, 2] {
        let task = fixture::task("heart", round);
        if round > 1 {
            give_model(&state, &task);
        }
        assert!(worker.train(task.clone(), None));
        let done = queue.recv().await;
        assert!(matches!(done, Some(Occurrence::Input(Input::Trained { task: id, .. })) if id == task.id));
    }
    worker.finish().await;
    assert!(queue.recv().await.is_none(), "the thread is gone");
}

/// A trainer that adds noise, and cannot do what it is asked.
struct Unable;

impl LocalTrainer for Unable {
    fn example_count(&self) -> u64 {
        7
    }

    fn hides_records(&self) -> bool {
        true
    }

    fn accepts(&self, task: &TrainTask) -> Result<(), TrainerError> {
        let (expected, found) = ("another job".to_owned(), task.id.job.to_string());
        Err(TrainerError::UnsupportedTask { expected, found })
    }

    fn train(
        &mut self,
        _: &TrainTask,
        _: ModelParameters,
        _: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        Err(TrainerError::failed("it was asked all the same"))
    }
}

#[test]
fn a_private_task_that_the_trainer_cannot_do_spends_nothing_and_one_that_it_fails_at_does() {
    let root = tempfile::tempdir().unwrap();
    let state = state_with_model(&root.path().join("state"));
    let (epsilon, delta) = (Epsilon::new(8.0).unwrap(), Delta::new(1e-5).unwrap());
    let budget = SiteBudget::new(epsilon, delta, root.path().join("privacy"));
    let books = Books::open(Some(&budget), &"a".parse().unwrap()).unwrap();
    let task = TrainTask { privacy: Some(fixture::privacy(Placement::Local)), ..fixture::task("heart", 1) };
    let reserved = || LedgerCopy::of_folder(&budget.folder).unwrap().ledger().reserved();
    let reason = |trainer: &mut dyn LocalTrainer| {
        let site = Site { state: &state, books: &books };
        match train(trainer, site, &task, &StopSignal::new(), None) {
            Input::Failed { reason, message, .. } => (reason, message),
            other => panic!("{other:?}"),
        }
    };
    let (code, message) = reason(&mut Unable);
    assert_eq!((code.as_str(), reserved()), ("TRAINING_UNSUPPORTED", 0));
    assert!(message.contains("expected another job, found heart"), "{message}");
    // The first attempt took it.
    give_model(&state, &task);
    let mut failing = PrivateTrainer(Trainer(|_, _: &StopSignal| {
        Err(TrainerError::Diverged { epoch: 1, learning_rate: 0.1 })
    }));
    let (code, message) = reason(&mut failing);
    assert_eq!((code.as_str(), reserved()), ("TRAINING_FAILED", 1));
    assert_eq!(message, "the task was not done; this participant's log says more");
}

/// A trainer that says it adds noise to its steps.
struct PrivateTrainer<T>(T);

impl<T: LocalTrainer> LocalTrainer for PrivateTrainer<T> {
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
