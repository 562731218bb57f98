//! What happens to a participant, for the application around it.

use std::{collections::BTreeSet, time::Duration};

use federated_core::{
    ids::{Digest, Fingerprint, JobName, ParticipantName, TaskId},
    metrics::Metrics,
    model::ModelParameters,
    privacy::secagg::SessionId,
    update::ExampleCount,
};

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobOutcome {
    /// All rounds are done.
    Completed,
    /// It was given up.
    Failed,
    /// An operator stopped it.
    Stopped,
    /// In a way that this version does not know.
    Other,
}

/// Something that happened. Each is also logged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ParticipantEvent {
    /// The coordinator accepted this participant.
    Connected {
        /// Who the coordinator says this participant is.
        participant: ParticipantName,
        /// Name and version of the coordinator's software.
        software: String,
    },
    /// The connection is gone, or could not be made. Training goes on.
    Disconnected {
        /// Why.
        reason: String,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// A task came and the site's policy agrees.
    TaskAccepted {
        /// Which.
        task: TaskId,
        /// How many rounds its job has.
        rounds: u32,
    },
    /// A task is not done: the policy forbids it, the model cannot be used, or training failed.
    TaskDeclined {
        /// Which.
        task: TaskId,
        /// The stable code that the coordinator is told.
        reason: String,
        /// The words that the coordinator is told.
        message: String,
    },
    /// The coordinator no longer wants a task.
    TaskWithdrawn {
        /// Which.
        task: TaskId,
        /// The coordinator's stable code.
        reason: String,
        /// The coordinator's words.
        message: String,
    },
    /// The local work of a task is done; its update is durable at this site.
    Trained {
        /// Which.
        task: TaskId,
        /// From how many examples.
        examples: ExampleCount,
        /// What the trainer reports.
        metrics: Metrics,
        /// How long it took.
        elapsed: Duration,
    },
    /// The update of a task is durable at the coordinator.
    Submitted {
        /// Which.
        task: TaskId,
        /// The update that the coordinator's receipt names: the digest of its content.
        content: Digest,
        /// It was there already, for instance from before a restart.
        duplicate: bool,
    },
    /// The coordinator refused the update of a task.
    Refused {
        /// Which.
        task: TaskId,
        /// The coordinator's stable code.
        reason: String,
        /// The coordinator's words.
        message: String,
    },
    /// The coordinator has signed what came of a session of secure aggregation that this participant's update is in. It is
    /// kept in the state folder, in `results.jsonl`.
    SumSigned {
        /// Of which attempt.
        task: TaskId,
        /// Which session.
        session: SessionId,
        /// Whose updates were summed.
        survivors: BTreeSet<ParticipantName>,
        /// SHA-256 of the sum.
        sum: Fingerprint,
        /// The model that the attempt gave.
        model: Digest,
    },
    /// What the coordinator says came of a session cannot be so, or it says nothing.
    ResultRefused {
        /// Of which attempt, or the task at which it shows.
        task: TaskId,
        /// The stable code.
        reason: String,
        /// In words.
        message: String,
    },
    /// A job ended.
    JobEnded {
        /// Which.
        job: JobName,
        /// How.
        outcome: JobOutcome,
        /// Why, in the coordinator's words; empty when completed.
        message: String,
        /// The newest model, when final models are kept and it could be had.
        model: Option<ModelParameters>,
    },
}

impl ParticipantEvent {
    /// Writes the event to the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Connected { participant, software } => {
                tracing::info!(%participant, coordinator = software, "connected");
            }
            Self::Disconnected { reason, retry_in } => {
                tracing::warn!(reason, ?retry_in, "not connected; will try again");
            }
            Self::TaskAccepted { task, rounds } => tracing::info!(%task, rounds, "task accepted"),
            Self::TaskDeclined { task, reason, message } => {
                tracing::warn!(%task, reason, detail = message, "task declined");
            }
            Self::TaskWithdrawn { task, reason, message } => {
                tracing::info!(%task, reason, detail = message, "task withdrawn by the coordinator");
            }
            Self::Trained { task, examples, elapsed, .. } => {
                tracing::info!(%task, examples = examples.get(), ?elapsed, "trained");
            }
            Self::Submitted { task, content, duplicate } => {
                tracing::info!(%task, %content, duplicate, "update delivered");
            }
            Self::Refused { task, reason, message } => {
                tracing::error!(%task, reason, detail = message, "the coordinator refused the update");
            }
            Self::SumSigned { task, session, survivors, sum, model } => {
                tracing::info!(%task, %session, survivors = survivors.len(), %sum, %model, "result kept");
            }
            Self::ResultRefused { task, reason, message } => {
                tracing::error!(%task, reason, detail = message, "the coordinator's result cannot be so");
            }
            Self::JobEnded { job, outcome, message, .. } => {
                tracing::info!(%job, ?outcome, detail = message, "job ended");
            }
        }
    }
}
