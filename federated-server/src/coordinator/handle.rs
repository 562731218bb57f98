use federated_core::{
    config::JobConfig,
    ids::{Digest, JobName, ParticipantName, TaskId},
    privacy::secagg::ParticipantMessage,
    round::OutReason,
};
use federated_proto::{
    convert::{ModelContent, UpdateHeader},
    v1,
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    CoordinatorError,
    message::{Admitted, Directives, Message, Order, Published, Reply, SessionId},
};

/// How many messages may wait for the actor.
const MAILBOX: usize = 1_024;

/// A handle to the running coordinator. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Coordinator {
    mailbox: mpsc::Sender<Message>,
    changes: watch::Receiver<u64>,
}

impl Coordinator {
    pub(super) fn new(changes: watch::Receiver<u64>) -> (Self, mpsc::Receiver<Message>) {
        let (mailbox, messages) = mpsc::channel(MAILBOX);
        (Self { mailbox, changes }, messages)
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, CoordinatorError> {
        let (reply, answer) = oneshot::channel();
        self.mailbox.send(message(reply)).await.map_err(|_| CoordinatorError::ShuttingDown)?;
        answer.await.map_err(|_| CoordinatorError::ShuttingDown)?
    }

    async fn tell(&self, message: Message) {
        // Whoever tells does not wait for an answer; a coordinator that stops reads its state back from disk.
        let _ = self.mailbox.send(message).await;
    }

    /// Starts a job whose initial model is stored already.
    ///
    /// # Errors
    /// [`CoordinatorError`] when the name is taken or the coordinator stops.
    pub(crate) async fn start(&self, config: JobConfig, model: ModelContent) -> Result<(), CoordinatorError> {
        self.ask(|reply| Message::Start { config: Box::new(config), model, reply }).await
    }

    /// Does with a job what an operator wants; `operator` is who wants it, for the record.
    ///
    /// # Errors
    /// [`CoordinatorError`] when there is no such job, it is not where the order makes sense, or the coordinator stops.
    pub async fn order(&self, job: JobName, order: Order, operator: &str) -> Result<(), CoordinatorError> {
        let operator = operator.to_owned();
        self.ask(|reply| Message::Order { job, order, operator, reply }).await
    }

    /// How the coordinator is, with one job or all of them.
    ///
    /// # Errors
    /// [`CoordinatorError`] when there is no such job or the coordinator stops.
    pub async fn status(&self, job: Option<JobName>) -> Result<v1::StatusReport, CoordinatorError> {
        self.ask(|reply| Message::Status { job, reply }).await
    }

    /// Counts changes of state: wait for it to change, then ask for the [`status`](Self::status).
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    pub(crate) async fn attend(
        &self,
        participant: ParticipantName,
        minor: u32,
        directives: Directives,
    ) -> Result<SessionId, CoordinatorError> {
        self.ask(|reply| Message::Attend { participant, minor, directives, reply }).await
    }

    pub(crate) async fn leave(&self, participant: ParticipantName, session: SessionId) {
        self.tell(Message::Leave { participant, session }).await;
    }

    pub(crate) async fn admit(
        &self,
        participant: ParticipantName,
        task: TaskId,
        content: Digest,
    ) -> Result<Admitted, CoordinatorError> {
        self.ask(|reply| Message::Admit { participant, task, content, reply }).await
    }

    /// Reports a durable update; answered when its receipt is durable too.
    pub(crate) async fn stored(
        &self,
        participant: ParticipantName,
        header: UpdateHeader,
    ) -> Result<(), CoordinatorError> {
        self.ask(|reply| Message::Stored { participant, header: Box::new(header), reply }).await
    }

    pub(crate) async fn failed(&self, participant: ParticipantName, task: TaskId, reason: OutReason) {
        self.tell(Message::Failed { participant, task, reason }).await;
    }

    pub(crate) async fn downloaded(&self, model: Digest, bytes: u64) {
        self.tell(Message::Downloaded { model, bytes }).await;
    }

    /// Answers a stage of secure aggregation; answered when that is durable.
    pub(crate) async fn answered(
        &self,
        participant: ParticipantName,
        task: TaskId,
        message: ParticipantMessage,
    ) -> Result<(), CoordinatorError> {
        self.ask(|reply| Message::Answered { participant, task, message: Box::new(message), reply }).await
    }

    pub(super) async fn aggregated(&self, task: TaskId, result: Result<Published, String>) {
        self.tell(Message::Aggregated { task, result }).await;
    }
}
