use federated_core::{
    config::JobConfig,
    ids::{Digest, JobName, ParticipantName, TaskId},
    model::ModelLayout,
    round::OutReason,
};
use federated_proto::{
    convert::{ModelContent, UpdateHeader},
    v1,
};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::CoordinatorError;

/// Tells one stream of a participant from its later ones.
pub(crate) type SessionId = u64;
/// Where a participant's directives go.
pub(crate) type Directives = mpsc::Sender<Result<v1::Directive, Status>>;
pub(super) type Reply<T> = oneshot::Sender<Result<T, CoordinatorError>>;

/// What may happen with an update that is offered.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// It is wanted, with these tensors.
    Welcome(ModelLayout),
    /// It is durable already and counts; these are its tensors.
    Duplicate(ModelLayout),
}

/// What the network tells the actor.
#[derive(Debug)]
pub(super) enum Message {
    Attend { participant: ParticipantName, directives: Directives, reply: Reply<SessionId> },
    Leave { participant: ParticipantName, session: SessionId },
    Admit { participant: ParticipantName, task: TaskId, content: Digest, reply: Reply<Admitted> },
    Stored { participant: ParticipantName, header: Box<UpdateHeader>, reply: Reply<()> },
    Failed { participant: ParticipantName, task: TaskId, reason: OutReason },
    Downloaded { model: Digest, bytes: u64 },
    Aggregated { task: TaskId, result: Result<Digest, String> },
    Start { config: Box<JobConfig>, model: ModelContent, reply: Reply<()> },
    Stop { job: JobName, operator: String, reply: Reply<()> },
    Status { job: Option<JobName>, reply: Reply<v1::StatusReport> },
}
