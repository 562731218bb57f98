use federated_core::{
    compression::Encoding,
    config::JobConfig,
    ids::{Digest, JobName, ParticipantName, TaskId},
    model::ModelLayout,
    round::OutReason,
};
use federated_proto::{
    WireError,
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
    /// It is wanted.
    Welcome(Wanted),
    /// It is durable already and counts; it has so many bytes.
    Duplicate { bytes: u64 },
}

/// What an update must be like.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(super) layout: ModelLayout,
    /// The job's encoding; plain ones are wanted too.
    pub(super) encoding: Encoding,
}

impl Wanted {
    /// Whether the update that is announced is what is wanted.
    pub(crate) fn check(&self, header: &UpdateHeader) -> Result<(), WireError> {
        self.layout.check_same(&header.layout)?;
        if header.encoding.is_plain() || header.encoding == self.encoding {
            return Ok(());
        }
        let plain = Encoding::PLAIN;
        let expected = match self.encoding {
            Encoding::PLAIN => format!("{plain}: the job does not compress"),
            encoding => format!("{encoding}, as the task says, or {plain}"),
        };
        let found = header.encoding.to_string();
        Err(WireError::Encoding { field: "header.encoding", expected, found })
    }
}

/// What an operator wants of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// End it early.
    Stop,
    /// Begin no further round until it is resumed; the one under way goes on to its end.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Go on after it failed or was stopped, at the round where it ended, with all its attempts.
    Retry,
}

/// What the network tells the actor.
#[derive(Debug)]
pub(super) enum Message {
    Attend { participant: ParticipantName, minor: u32, directives: Directives, reply: Reply<SessionId> },
    Leave { participant: ParticipantName, session: SessionId },
    Admit { participant: ParticipantName, task: TaskId, content: Digest, reply: Reply<Admitted> },
    Stored { participant: ParticipantName, header: Box<UpdateHeader>, reply: Reply<()> },
    Failed { participant: ParticipantName, task: TaskId, reason: OutReason },
    Downloaded { model: Digest, bytes: u64 },
    Aggregated { task: TaskId, result: Result<Digest, String> },
    Start { config: Box<JobConfig>, model: ModelContent, reply: Reply<()> },
    Order { job: JobName, order: Order, operator: String, reply: Reply<()> },
    Status { job: Option<JobName>, reply: Reply<v1::StatusReport> },
}
