use std::net::SocketAddr;

use bytes::Bytes;
use federated_proto::{
    v1::{self, directive::Kind, participation_client::ParticipationClient},
    version::MINOR_MAX,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

use crate::{ClientTls, Update, within};

/// A participant made of bare calls: it sends whatever a test wants sent, well-formed or not.
#[derive(Clone, Debug)]
pub struct RawParticipant {
    client: ParticipationClient<Channel>,
}

impl RawParticipant {
    /// Connects. Whether the coordinator accepts the certificate shows at the first call.
    pub async fn connect(address: SocketAddr, tls: &ClientTls) -> Self {
        let client = ParticipationClient::new(tls.channel(address).await).max_decoding_message_size(8 << 20);
        Self { client }
    }

    /// The generated client.
    pub const fn client(&mut self) -> &mut ParticipationClient<Channel> {
        &mut self.client
    }

    /// Negotiates for these minor versions.
    ///
    /// # Errors
    /// The coordinator's refusal.
    pub async fn negotiate(
        &mut self,
        minor_min: u32,
        minor_max: u32,
    ) -> Result<v1::NegotiateResponse, Status> {
        let software = "raw".to_owned();
        let request = v1::NegotiateRequest { minor_min, minor_max, software };
        let answer = within("the answer to Negotiate", self.client.negotiate(request)).await;
        answer.map(tonic::Response::into_inner)
    }

    /// Negotiates and attends; the participant is present when this returns.
    ///
    /// # Panics
    /// When the coordinator refuses.
    pub async fn attend(&mut self) -> Attendance {
        self.attend_up_to(MINOR_MAX).await
    }

    /// The same as a participant that speaks no later minor version than this.
    ///
    /// # Panics
    /// When the coordinator refuses.
    pub async fn attend_up_to(&mut self, minor_max: u32) -> Attendance {
        let minor = self.negotiate(0, minor_max).await.expect("the coordinator accepts us").minor;
        let request = v1::AttendRequest { minor };
        let answer = within("the answer to Attend", self.client.attend(request)).await;
        let stream = answer.expect("the coordinator lets us attend").into_inner();
        let mut attendance = Attendance { stream };
        let first = attendance.next().await.expect("a directive at once");
        assert_eq!(first, Kind::Heartbeat(v1::Heartbeat {}));
        attendance
    }

    /// How much of an update is at the coordinator.
    ///
    /// # Errors
    /// The coordinator's refusal.
    pub async fn query(&mut self, update: &Update) -> Result<v1::QueryUploadResponse, Status> {
        let answer = within("the answer to QueryUpload", self.client.query_upload(update.query())).await;
        answer.map(tonic::Response::into_inner)
    }

    /// Uploads an update from the first byte on.
    ///
    /// # Errors
    /// The coordinator's refusal.
    pub async fn submit(&mut self, update: &Update) -> Result<v1::SubmitUpdateResponse, Status> {
        self.send(update.messages(0)).await
    }

    /// Makes an upload of these messages.
    ///
    /// # Errors
    /// The coordinator's refusal.
    pub async fn send(
        &mut self,
        messages: Vec<v1::SubmitUpdateRequest>,
    ) -> Result<v1::SubmitUpdateResponse, Status> {
        let call = self.client.submit_update(tokio_stream::iter(messages));
        within("the answer to SubmitUpdate", call).await.map(tonic::Response::into_inner)
    }

    /// Begins an upload that the test feeds message by message.
    #[must_use]
    pub fn open_upload(&self) -> OpenUpload {
        let (messages, stream) = mpsc::channel(1);
        let mut client = self.client.clone();
        let call = tokio::spawn(async move {
            let answer = client.submit_update(ReceiverStream::new(stream)).await;
            answer.map(tonic::Response::into_inner)
        });
        OpenUpload { messages, call }
    }

    /// Downloads a model from `offset` on.
    ///
    /// # Errors
    /// The coordinator's refusal, before or during the download.
    pub async fn fetch(&mut self, digest: &Bytes, offset: u64) -> Result<Vec<v1::Chunk>, Status> {
        let digest = digest.clone();
        let request = v1::FetchModelRequest { digest, offset };
        let answer = within("the answer to FetchModel", self.client.fetch_model(request)).await;
        let mut stream = answer?.into_inner();
        let mut chunks = Vec::new();
        while let Some(response) = within("a chunk of a model", stream.message()).await? {
            chunks.push(response.chunk.expect("a chunk"));
        }
        Ok(chunks)
    }

    /// Answers a stage of secure aggregation.
    ///
    /// # Errors
    /// The coordinator's refusal.
    pub async fn answer(&mut self, request: v1::AnswerSessionRequest) -> Result<(), Status> {
        within("the answer to AnswerSession", self.client.answer_session(request)).await.map(drop)
    }

    /// Declines a task.
    ///
    /// # Errors
    /// The coordinator's refusal.
    pub async fn decline(&mut self, task: &v1::TrainTask, reason: &str, message: &str) -> Result<(), Status> {
        let request = v1::DeclineTaskRequest {
            task: task.id.clone(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        within("the answer to DeclineTask", self.client.decline_task(request)).await.map(drop)
    }
}

/// An open Attend stream.
#[derive(Debug)]
pub struct Attendance {
    stream: Streaming<v1::Directive>,
}

impl Attendance {
    /// The next directive.
    ///
    /// # Errors
    /// Why the stream ended.
    pub async fn next(&mut self) -> Result<Kind, Status> {
        within("a directive", self.receive()).await
    }

    async fn receive(&mut self) -> Result<Kind, Status> {
        let message = self.stream.message().await?;
        let ended = || Status::cancelled("the stream ended without an error");
        Ok(message.ok_or_else(ended)?.kind.expect("a kind of today"))
    }

    /// Waits for a directive that is `wanted`. Signs of life come all the time: they do not extend the wait.
    async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(Kind) -> Option<T>) -> T {
        let wait = async {
            loop {
                let kind = self.receive().await.expect("the stream is open");
                if let Some(found) = wanted(kind) {
                    return found;
                }
            }
        };
        within(what, wait).await
    }

    /// The next task; other directives before it are left out.
    pub async fn task(&mut self) -> v1::TrainTask {
        self.until("a task", |kind| match kind {
            Kind::Train(task) => Some(task),
            _ => None,
        })
        .await
    }

    /// The next stage of secure aggregation.
    pub async fn told(&mut self) -> v1::SecureDirective {
        self.until("a stage of secure aggregation", |kind| match kind {
            Kind::Secure(told) => Some(told),
            _ => None,
        })
        .await
    }

    /// The next withdrawal.
    pub async fn withdrawn(&mut self) -> v1::Withdraw {
        self.until("a withdrawal", |kind| match kind {
            Kind::Withdraw(withdraw) => Some(withdraw),
            _ => None,
        })
        .await
    }

    /// The next end of a job.
    pub async fn ended(&mut self) -> v1::JobEnded {
        self.until("the end of a job", |kind| match kind {
            Kind::JobEnded(ended) => Some(ended),
            _ => None,
        })
        .await
    }

    /// With what the coordinator ends the stream.
    pub async fn closed(&mut self) -> Status {
        let wait = async {
            loop {
                if let Err(status) = self.receive().await {
                    return status;
                }
            }
        };
        within("the end of the Attend stream", wait).await
    }
}

/// An upload under way.
#[derive(Debug)]
pub struct OpenUpload {
    messages: mpsc::Sender<v1::SubmitUpdateRequest>,
    call: JoinHandle<Result<v1::SubmitUpdateResponse, Status>>,
}

impl OpenUpload {
    /// Sends a message; false when the coordinator no longer listens.
    pub async fn send(&self, message: v1::SubmitUpdateRequest) -> bool {
        self.messages.send(message).await.is_ok()
    }

    /// Waits until the coordinator no longer listens.
    pub async fn closed(&self) {
        within("the end of an upload", self.messages.closed()).await;
    }

    /// Drops the call, as a participant does that no longer wants to know.
    pub async fn abandon(self) {
        self.call.abort();
        // It was aborted, or has ended by itself: both are the end.
        let _ = self.call.await;
    }

    /// Closes this side and waits for the answer.
    ///
    /// # Errors
    /// The coordinator's refusal.
    pub async fn answer(self) -> Result<v1::SubmitUpdateResponse, Status> {
        drop(self.messages);
        within("the answer to SubmitUpdate", self.call).await.expect("the call does not panic")
    }
}
