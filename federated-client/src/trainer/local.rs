use federated_core::{model::ModelParameters, task::TrainTask, update::ClientUpdate};

use super::{StopSignal, TrainerError};

/// Whatever can do a task: the one thing an application must bring to take part in a federation.
///
/// It runs on a thread of its own, may take hours, and knows nothing of the network.
///
/// # Privacy
/// The update leaves the site: it tells something about the examples it was computed from. Report as metrics only what
/// your institution agrees to release.
pub trait LocalTrainer: Send {
    /// How many local examples there are to train on: the participant's policy and preflight check ask.
    fn example_count(&self) -> u64;

    /// Whether this trainer keeps to [`TrainTask::privacy`] where noise is added in each step, so that each record is hidden in
    /// its updates. One that does not is given no such task: it would release what has no noise.
    fn hides_records(&self) -> bool {
        false
    }

    /// Whether this trainer can do the task, as far as the task itself tells. A task with differential privacy is asked about before
    /// the site's budget pays for it: what is declined here has spent nothing.
    ///
    /// # Errors
    /// [`TrainerError::UnsupportedTask`], as from [`train`](Self::train).
    fn accepts(&self, _task: &TrainTask) -> Result<(), TrainerError> {
        Ok(())
    }

    /// Does the task, starting from `model`, which has the task's layout.
    ///
    /// The same task and model should give the same update: draw randomness from the task's seed. Look at `stop` often
    /// and give up with [`TrainerError::Stopped`] once it is raised.
    ///
    /// # Errors
    /// [`TrainerError`]; use [`TrainerError::failed`] for errors of your own.
    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError>;
}

impl<T: LocalTrainer + ?Sized> LocalTrainer for Box<T> {
    fn example_count(&self) -> u64 {
        T::example_count(self)
    }

    fn hides_records(&self) -> bool {
        T::hides_records(self)
    }

    fn accepts(&self, task: &TrainTask) -> Result<(), TrainerError> {
        T::accepts(self, task)
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        T::train(self, task, model, stop)
    }
}
