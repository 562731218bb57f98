use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

use federated_client::trainer::{LocalTrainer, StopSignal, TrainerError};
use federated_core::{
    ids::TaskId,
    metrics::Metrics,
    model::ModelParameters,
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::within;

/// What `participant-under-test` prints once its trainer is at work.
pub const TRAINS: &str = "it trains";

/// A trainer whose work is to add a number to every value.
#[derive(Debug)]
pub struct AddConstant {
    value: f32,
    examples: u64,
    times: Arc<AtomicU32>,
    gate: Option<(UnboundedSender<TaskId>, Receiver<()>)>,
}

impl AddConstant {
    /// A trainer that is done at once.
    #[must_use]
    pub fn new(value: f32, examples: u64) -> Self {
        Self { value, examples, times: Arc::default(), gate: None }
    }

    /// A trainer that says when it begins, and then works until it is let go or its task is withdrawn.
    #[must_use]
    pub fn gated(value: f32, examples: u64) -> (Self, Gate) {
        let ((began, begun), (go, gone)) = (unbounded_channel(), channel());
        let trainer = Self { gate: Some((began, gone)), ..Self::new(value, examples) };
        (trainer, Gate { begun, go })
    }

    /// Counts how often it was asked to train.
    #[must_use]
    pub fn times(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.times)
    }

    fn work(&self, task: &TrainTask, stop: &StopSignal) -> Result<(), TrainerError> {
        let Some((began, gone)) = &self.gate else { return Ok(()) };
        // A test that no longer looks lets every task pass.
        let _ = began.send(task.id.clone());
        loop {
            match gone.recv_timeout(Duration::from_millis(5)) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) if stop.is_raised() => return Err(TrainerError::Stopped),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl LocalTrainer for AddConstant {
    fn example_count(&self) -> u64 {
        self.examples
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        self.times.fetch_add(1, Ordering::SeqCst);
        self.work(task, stop)?;
        let values = vec![self.value; model.values().len()];
        let mut metrics = Metrics::new();
        metrics.insert("loss", f64::from(self.value))?;
        Ok(ClientUpdate {
            delta: ModelParameters::new(model.layout().clone(), values)?,
            examples: ExampleCount::new(self.examples)?,
            metrics,
        })
    }
}

/// The test's side of a gated trainer.
#[derive(Debug)]
pub struct Gate {
    begun: UnboundedReceiver<TaskId>,
    go: Sender<()>,
}

impl Gate {
    /// Waits until the trainer works on a task.
    ///
    /// # Panics
    /// When it does not, or is gone.
    pub async fn begun(&mut self) -> TaskId {
        within("the training to begin", self.begun.recv()).await.expect("the trainer lives")
    }

    /// Lets the trainer finish one task.
    pub fn go(&self) {
        // A trainer that is gone needs no leave.
        let _ = self.go.send(());
    }
}
