use federated_core::task::TrainTask;

use super::Action;

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The update is looked for, then the model is fetched.
    Fetching,
    /// The model is there; the trainer is busy with another job.
    Waiting,
    /// The trainer works.
    Training,
    /// The update is in the state folder and goes to the coordinator.
    Uploading,
    /// The coordinator has the update. It stays here until the round is over.
    Submitted,
    /// It will not be done; `noted` once the coordinator knows.
    Declined { reason: String, message: String, noted: bool },
}

/// A task with its stage.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) task: TrainTask,
    pub(super) stage: Stage,
}

impl Work {
    pub(super) const fn new(task: TrainTask) -> Self {
        Self { task, stage: Stage::Fetching }
    }

    /// What the stage needs from the network.
    pub(super) fn network_action(&self, resume: bool) -> Option<Action> {
        let task = &self.task;
        match &self.stage {
            Stage::Fetching => Some(Action::Prepare(task.clone())),
            Stage::Uploading => Some(Action::Upload { task: task.clone(), resume }),
            Stage::Declined { reason, message, noted: false } => Some(Action::Decline {
                task: task.id.clone(),
                reason: reason.clone(),
                message: message.clone(),
            }),
            Stage::Waiting | Stage::Training | Stage::Submitted | Stage::Declined { .. } => None,
        }
    }

    /// The coordinator asks again for a task that it has been answered: the answer goes there once more.
    ///
    /// Gives whether there is something to send again.
    pub(super) fn asked_again(&mut self) -> bool {
        match &mut self.stage {
            Stage::Submitted => self.stage = Stage::Uploading,
            Stage::Declined { noted, .. } if *noted => *noted = false,
            _ => return false,
        }
        true
    }

    pub(super) const fn decline_noted(&mut self) {
        if let Stage::Declined { noted, .. } = &mut self.stage {
            *noted = true;
        }
    }
}
