use std::panic::{AssertUnwindSafe, catch_unwind};

use federated_core::{model::ModelParameters, task::TrainTask, update::ClientUpdate};

use super::{LocalTrainer, StopSignal, TrainerError};
use crate::device::panic::panic_text;

/// Does a task with a trainer whose panic becomes an error.
///
/// burn panics where shapes do not fit and where a GPU runs out of memory; neither may end the participant.
///
/// # Errors
/// As [`LocalTrainer::train`], and [`TrainerError::Panicked`].
pub fn run_guarded(
    trainer: &mut dyn LocalTrainer,
    task: &TrainTask,
    model: ModelParameters,
    stop: &StopSignal,
) -> Result<ClientUpdate, TrainerError> {
    catch_unwind(AssertUnwindSafe(|| trainer.train(task, model, stop)))
        .unwrap_or_else(|payload| Err(TrainerError::Panicked { message: panic_text(&*payload) }))
}
