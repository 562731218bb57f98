use federated_core::{
    compression::Encoding,
    config::JobConfig,
    ids::{Digest, JobName, ParticipantName, TaskId},
    model::ModelLayout,
    privacy::secagg::{GroupSum, ParticipantMessage, Totals},
    round::{OutReason, UpdateKind},
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
    pub(super) form: WantedForm,
}

/// How an update must travel.
#[derive(Debug)]
pub(super) enum WantedForm {
    /// In this encoding, or plain.
    Open(Encoding),
    /// As a masked vector of so many bytes.
    Masked { bytes: u64 },
}

impl Wanted {
    /// Whether the update that is announced is what is wanted.
    pub(crate) fn check(&self, header: &UpdateHeader) -> Result<(), WireError> {
        self.layout.check_same(&header.layout)?;
        let plain = Encoding::PLAIN;
        let (expected, found) = match (&self.form, &header.kind) {
            (WantedForm::Masked { bytes }, UpdateKind::Masked) if header.bytes == *bytes => return Ok(()),
            (WantedForm::Masked { bytes: expected }, UpdateKind::Masked) => {
                let (expected, found) = (*expected, header.bytes);
                return Err(WireError::MaskedLength { expected, found });
            }
            (WantedForm::Masked { .. }, UpdateKind::Open { encoding, .. }) => {
                ("a masked vector, as the task says".to_owned(), encoding.to_string())
            }
            (WantedForm::Open(_), UpdateKind::Masked) => {
                ("an update that is not masked".to_owned(), "a masked vector".to_owned())
            }
            (WantedForm::Open(wanted), UpdateKind::Open { encoding, .. })
                if encoding.is_plain() || encoding == wanted =>
            {
                return Ok(());
            }
            (WantedForm::Open(Encoding::PLAIN), UpdateKind::Open { encoding, .. }) => {
                (format!("{plain}: the job does not compress"), encoding.to_string())
            }
            (WantedForm::Open(wanted), UpdateKind::Open { encoding, .. }) => {
                (format!("{wanted}, as the task says, or {plain}"), encoding.to_string())
            }
        };
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

/// A new model.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) model: Digest,
    /// Of masked updates: what their sums tell.
    pub(super) sum: Option<Summed>,
}

/// What was read from masked updates together.
#[derive(Debug)]
pub(super) struct Summed {
    pub(super) totals: Totals,
    pub(super) sums: Vec<GroupSum>,
}

/// What the network tells the actor.
#[derive(Debug)]
pub(super) enum Message {
    Attend {
        participant: ParticipantName,
        minor: u32,
        directives: Directives,
        reply: Reply<SessionId>,
    },
    Leave {
        participant: ParticipantName,
        session: SessionId,
    },
    Admit {
        participant: ParticipantName,
        task: TaskId,
        content: Digest,
        reply: Reply<Admitted>,
    },
    Stored {
        participant: ParticipantName,
        header: Box<UpdateHeader>,
        reply: Reply<()>,
    },
    Failed {
        participant: ParticipantName,
        task: TaskId,
        reason: OutReason,
    },
    Answered {
        participant: ParticipantName,
        task: TaskId,
        message: Box<ParticipantMessage>,
        reply: Reply<()>,
    },
    Downloaded {
        model: Digest,
        bytes: u64,
    },
    Aggregated {
        task: TaskId,
        result: Result<Published, String>,
    },
    Start {
        config: Box<JobConfig>,
        model: ModelContent,
        reply: Reply<()>,
    },
    Order {
        job: JobName,
        order: Order,
        operator: String,
        reply: Reply<()>,
    },
    Status {
        job: Option<JobName>,
        reply: Reply<v1::StatusReport>,
    },
}
