use std::time::Duration;

use federated_core::{
    ids::{Digest, JobName, TaskId},
    metrics::Metrics,
    model::ModelParameters,
    task::TrainTask,
    update::ExampleCount,
};
use federated_proto::convert::ModelContent;

use crate::event::{JobOutcome, ParticipantEvent};

/// A job that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedJob {
    /// Which.
    pub job: JobName,
    /// How.
    pub outcome: JobOutcome,
    /// Why, for people.
    pub message: String,
    /// Its newest model.
    pub model: Option<ModelContent>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// There is a connection, and directives will come.
    Connected,
    /// The connection is gone, and with it every transfer.
    Disconnected,
    /// The coordinator asks for this task, perhaps not for the first time.
    Train(TrainTask),
    /// The coordinator asks for a task that cannot be understood.
    Unusable {
        /// Which.
        task: TaskId,
        /// The reason code.
        reason: String,
        /// In words.
        message: String,
    },
    /// The coordinator no longer wants a task.
    Withdrawn {
        /// Which.
        task: TaskId,
        /// The reason code.
        reason: String,
        /// In words.
        message: String,
    },
    /// A job ended, perhaps not for the first time.
    JobEnded(EndedJob),
    /// The state folder has the update for a task, from before a restart.
    UpdateFound {
        /// Which.
        task: TaskId,
    },
    /// The model of a task is in the state folder.
    ModelReady {
        /// Which.
        task: TaskId,
    },
    /// The trainer did not find the model of its task: a task of another job had the same model, and took it.
    ModelGone {
        /// Which.
        task: TaskId,
    },
    /// The trainer is done with a task and the update is in the state folder.
    Trained {
        /// Which.
        task: TaskId,
        /// How many examples it was trained on.
        examples: ExampleCount,
        /// What else the trainer reports.
        metrics: Metrics,
        /// How long it took.
        elapsed: Duration,
    },
    /// The model cannot be used, the trainer is done with a task in vain, or the state folder fails.
    Failed {
        /// Which.
        task: TaskId,
        /// The reason code.
        reason: String,
        /// In words.
        message: String,
    },
    /// The coordinator has the update.
    Submitted {
        /// Of which task.
        task: TaskId,
        /// The digest of the update that has its receipt.
        content: Digest,
        /// Whether the coordinator had it before.
        duplicate: bool,
    },
    /// The coordinator refused the update for good.
    Refused {
        /// Of which task.
        task: TaskId,
        /// The reason code.
        reason: String,
        /// In words.
        message: String,
    },
    /// The coordinator knows that a task was declined.
    DeclineNoted {
        /// Which.
        task: TaskId,
    },
    /// The newest model of an ended job, or that it cannot be had.
    FinalModel {
        /// Which job.
        job: JobName,
        /// Its model.
        model: Option<ModelParameters>,
    },
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Look for the update in the state folder; without it see that the model is there.
    Prepare(TrainTask),
    /// Train. Comes only when the trainer is idle.
    Train(TrainTask),
    /// Tell the trainer that its present task is no longer wanted.
    StopTraining,
    /// Upload the update.
    Upload {
        /// For which task.
        task: TrainTask,
        /// Whether some of it may be at the coordinator.
        resume: bool,
    },
    /// Tell the coordinator that a task will not be done.
    Decline {
        /// Which.
        task: TaskId,
        /// The reason code.
        reason: String,
        /// In words.
        message: String,
    },
    /// End the transfers of a task.
    Cancel {
        /// Which.
        task: TaskId,
    },
    /// Note that the update of a task has its receipt.
    ConfirmUpdate {
        /// Which.
        task: TaskId,
    },
    /// Throw the update of a task away.
    DiscardUpdate {
        /// Which.
        task: TaskId,
    },
    /// Throw all updates of a job away.
    DiscardJob {
        /// Which.
        job: JobName,
    },
    /// Remove the models that are no longer needed.
    RetainModels,
    /// Fetch the newest model of a job that ended.
    FetchFinal(EndedJob),
    /// Tell the application.
    Report(ParticipantEvent),
    /// End the session: as many jobs ended as were waited for.
    Finish,
}
