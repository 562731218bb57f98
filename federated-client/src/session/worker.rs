use std::{
    io,
    sync::{Arc, mpsc as jobs},
    thread,
    time::{Duration, Instant},
};

use federated_core::{
    compression::CompressionError,
    privacy::{
        dp::{NoiseSeed, terms::Placement},
        secagg::{Mask, RoundingSeed, VectorPlan},
    },
    task::TrainTask,
    update::ClientUpdate,
};
use federated_proto::refusal::cut;
use tokio::sync::{mpsc, oneshot};

use super::{books::Books, machine::Input, protect::protect, run::Occurrence, secure::MaskSlot};
use crate::{
    signing::random,
    state::{Masking, StateError, StateFolder},
    trainer::{LocalTrainer, StopSignal, TrainerError, run_guarded},
};

/// How long a trainer may take to notice that the session ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the thread is given.
struct Job {
    task: TrainTask,
    stop: StopSignal,
    masks: Option<MaskSlot>,
}

/// The thread that trains: one task after another, with one trainer for the whole session.
pub(super) struct Worker {
    jobs: Option<jobs::Sender<Job>>,
    stop: StopSignal,
    ended: oneshot::Receiver<()>,
}

impl Worker {
    pub(super) fn start(
        mut trainer: Box<dyn LocalTrainer>,
        state: Arc<StateFolder>,
        books: Books,
        occurrences: mpsc::Sender<Occurrence>,
    ) -> io::Result<Self> {
        let (sender, receiver) = jobs::channel::<Job>();
        let (running, ended) = oneshot::channel();
        let work = move || {
            for Job { task, stop, masks } in receiver {
                let site = Site { state: &state, books: &books };
                let input = train(&mut *trainer, site, &task, &stop, masks.as_ref());
                if occurrences.blocking_send(Occurrence::Input(input)).is_err() {
                    break;
                }
            }
            // Whoever waits for the end may want the state folder, which is locked as long as somebody has it.
            drop(state);
            drop::<oneshot::Sender<()>>(running);
        };
        thread::Builder::new().name("federated-trainer".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(sender), stop: StopSignal::new(), ended })
    }

    /// Starts a task, whose update is masked with what comes in `masks`; gives whether the thread takes it.
    pub(super) fn train(&mut self, task: TrainTask, masks: Option<MaskSlot>) -> bool {
        self.stop = StopSignal::new();
        let (jobs, stop) = (self.jobs.as_ref(), self.stop.clone());
        jobs.is_some_and(|jobs| jobs.send(Job { task, stop, masks }).is_ok())
    }

    /// Tells the trainer that its present task is no longer wanted.
    pub(super) fn stop(&self) {
        self.stop.raise();
    }

    /// Stops the trainer and waits for it, though not for long: a trainer that does not look at its signal is left
    /// behind, and what it makes is thrown away.
    pub(super) async fn finish(mut self) {
        self.stop();
        self.jobs = None;
        if tokio::time::timeout(PATIENCE, &mut self.ended).await.is_err() {
            tracing::warn!("the trainer does not stop; it is left behind");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.raise();
    }
}

/// What the thread works with beside the trainer.
#[derive(Clone, Copy)]
struct Site<'a> {
    state: &'a StateFolder,
    books: &'a Books,
}

/// Does a task, from the model in the state folder to the update in the state folder.
fn train(
    trainer: &mut dyn LocalTrainer,
    Site { state, books }: Site<'_>,
    task: &TrainTask,
    stop: &StopSignal,
    masks: Option<&MaskSlot>,
) -> Input {
    let began = Instant::now();
    let id = task.id.clone();
    let failed = |reason: &str, message: String| Input::Failed {
        task: id.clone(),
        reason: reason.to_owned(),
        message: cut(&message),
    };
    let storage = |error: StateError| {
        tracing::error!(task = %task.id, %error, "the state folder failed");
        let (reason, message) = told_about_storage(&error);
        failed(reason, message)
    };
    let model = match state.read_model(&task.model, &task.layout) {
        Ok(model) => model,
        Err(error) if error.is_absence() => return Input::ModelGone { task: id },
        Err(error) => return storage(error),
    };
    if let Err((reason, message)) = permit(trainer, books, task) {
        return failed(reason, message);
    }
    let update = match run_guarded(trainer, task, model, stop) {
        Ok(_) if stop.is_raised() => return failed("TRAINING_STOPPED", TrainerError::Stopped.to_string()),
        Ok(update) => update,
        Err(error) => {
            if !matches!(error, TrainerError::Stopped) {
                tracing::error!(task = %task.id, error = %with_causes(&error), "training failed");
            }
            let (reason, message) = told(&error, task.privacy.is_some());
            return failed(reason, message);
        }
    };
    if let Err(error) = task.layout.check_same(update.delta.layout()) {
        tracing::error!(task = %task.id, %error, "the trainer's update has another layout than the model");
        return failed("TRAINING_FAILED", format!("the trainer's update does not fit the model: {error}"));
    }
    let update = match protect(task, update) {
        Ok(update) => update,
        Err(error) => return failed("TRAINING_FAILED", error.to_string()),
    };
    let (examples, metrics) = (update.examples, update.metrics.clone());
    let stored = match (&task.secure, masks) {
        (None, _) => state.store_update(task, update),
        (Some(secure), Some(masks)) => match masks.wait() {
            Some(masks) => store_masked(state, task, update, secure.terms.vector(), &masks),
            None => {
                return failed("TRAINING_STOPPED", "its session of secure aggregation has ended".to_owned());
            }
        },
        (Some(_), None) => return failed("SECAGG_SESSION_LOST", "the session was left meanwhile".to_owned()),
    };
    match stored {
        Ok(()) => Input::Trained { task: id.clone(), examples, metrics, elapsed: began.elapsed() },
        Err(error) => storage(error),
    }
}

/// Whether a task may be begun: that its trainer hides records where that is wanted and can do it, and that the site's ledger pays
/// for it.
fn permit(trainer: &dyn LocalTrainer, books: &Books, task: &TrainTask) -> Result<(), (&'static str, String)> {
    let Some(terms) = &task.privacy else { return Ok(()) };
    if terms.placement() == Placement::Local && !trainer.hides_records() {
        tracing::error!(task = %task.id, "the trainer adds no noise to its steps; use one whose `hides_records` is true");
        let message = "this participant's trainer adds no noise to its steps".to_owned();
        return Err(("PRIVACY_UNSUPPORTED", message));
    }
    // By what the task says alone, so this tells nothing of the records.
    trainer.accepts(task).map_err(|error| (error.reason().as_str(), error.to_string()))?;
    books.reserve(task).map_err(|error| {
        tracing::error!(task = %task.id, %error, fault = ?error.fault(), "the task is not begun");
        (error.reason().as_str(), error.told().to_owned())
    })
}

/// Masks an update and keeps it.
///
/// The task's seed decides how values are rounded, so that a run can be repeated. Whoever knows it, as the coordinator
/// does, learns nothing of one participant's values from the sum.
fn store_masked(
    state: &StateFolder,
    task: &TrainTask,
    update: ClientUpdate,
    plan: &VectorPlan,
    masks: &[Mask],
) -> Result<(), StateError> {
    let rounding = RoundingSeed::from_task(task.seed);
    let masks = masks.iter().map(Mask::prepare).collect::<Result<Vec<_>, _>>()?;
    let noise = NoiseSeed::new(random().map_err(|_| StateError::Randomness)?);
    let masking = Masking { plan, rounding: &rounding, masks: &masks, noise: &noise };
    let clipped = state.store_masked(task, update, masking)?;
    if clipped > 0 {
        let values = task.layout.elements();
        tracing::warn!(task = %task.id, clipped, values, "values were clipped; raise `clip` in the job if they are many");
    }
    Ok(())
}

/// What the coordinator is told about a failed training. What code of the application says may quote examples, so it
/// stays in this site's log.
///
/// With differential privacy that is less still, the code included: whether training diverged tells of the examples.
fn told(error: &TrainerError, private: bool) -> (&'static str, String) {
    if private {
        return ("TRAINING_FAILED", "the task was not done; this participant's log says more".to_owned());
    }
    let message = match error {
        TrainerError::Panicked { .. } => "the trainer panicked; this participant's log says more".to_owned(),
        TrainerError::Dataset { .. } | TrainerError::Failed { .. } => {
            format!("{error}; this participant's log says more")
        }
        _ => error.to_string(),
    };
    (error.reason().as_str(), message)
}

/// What the coordinator is told about a state folder that fails: no path of this machine.
pub(super) fn told_about_storage(error: &StateError) -> (&'static str, String) {
    match error {
        StateError::Digest { .. } => ("MODEL_DIGEST_MISMATCH", error.to_string()),
        StateError::Model(model) => ("MODEL_INVALID", model.to_string()),
        StateError::Encoding(error) => match error {
            CompressionError::Overflow { .. } => ("ENCODING_OVERFLOW", error.to_string()),
            CompressionError::NotFinite { .. } | CompressionError::TooLarge { .. } => {
                ("TRAINING_DIVERGED", error.to_string())
            }
            _ => ("STATE_FAILED", format!("the update cannot be encoded: {error}")),
        },
        StateError::Vector(error) => ("SECAGG_VECTOR", error.to_string()),
        _ => {
            let message = "the participant's state folder cannot be used; its log says more";
            ("STATE_FAILED", message.to_owned())
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
