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
pub(crate) struct EndedJob {
    pub(crate) job: JobName,
    pub(crate) outcome: JobOutcome,
    pub(crate) message: String,
    pub(crate) model: Option<ModelContent>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    /// There is a connection, and directives will come.
    Connected,
    /// The connection is gone, and with it every transfer.
    Disconnected,
    /// The coordinator asks for this task, perhaps not for the first time.
    Train(TrainTask),
    /// The coordinator asks for a task that cannot be understood.
    Unusable { task: TaskId, reason: String, message: String },
    /// The coordinator no longer wants a task.
    Withdrawn { task: TaskId, reason: String, message: String },
    /// A job ended, perhaps not for the first time.
    JobEnded(EndedJob),
    /// The state folder has the update for a task, from before a restart.
    UpdateFound { task: TaskId },
    /// The model of a task is in the state folder.
    ModelReady { task: TaskId },
    /// The trainer is done with a task and the update is in the state folder.
    Trained { task: TaskId, examples: ExampleCount, metrics: Metrics, elapsed: Duration },
    /// The model cannot be used, the trainer is done with a task in vain, or the state folder fails.
    Failed { task: TaskId, reason: String, message: String },
    /// The coordinator has the update.
    Submitted { task: TaskId, content: Digest, duplicate: bool },
    /// The coordinator refused the update for good.
    Refused { task: TaskId, reason: String, message: String },
    /// The coordinator knows that a task was declined.
    DeclineNoted { task: TaskId },
    /// The newest model of an ended job, or that it cannot be had.
    FinalModel { job: JobName, model: Option<ModelParameters> },
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Look for the update in the state folder; without it see that the model is there.
    Prepare(TrainTask),
    /// Train. Comes only when the trainer is idle.
    Train(TrainTask),
    /// Tell the trainer that its present task is no longer wanted.
    StopTraining,
    /// Upload the update; `resume` when some of it may be at the coordinator.
    Upload { task: TrainTask, resume: bool },
    /// Tell the coordinator that a task will not be done.
    Decline { task: TaskId, reason: String, message: String },
    /// End the transfers of a task.
    Cancel { task: TaskId },
    /// Note that the update of a task has its receipt.
    ConfirmUpdate { task: TaskId },
    /// Throw the update of a task away.
    DiscardUpdate { task: TaskId },
    /// Throw all updates of a job away.
    DiscardJob { job: JobName },
    /// Remove the models that are no longer needed.
    RetainModels,
    /// Fetch the newest model of a job that ended.
    FetchFinal(EndedJob),
    /// Tell the application.
    Report(ParticipantEvent),
    /// End the session: as many jobs ended as were waited for.
    Finish,
}
