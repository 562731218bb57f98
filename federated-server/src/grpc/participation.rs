use std::sync::Arc;

use federated_core::{ids::TaskId, round::OutReason};
use federated_proto::{
    WireError, convert,
    refusal::cut,
    service::participation_server,
    v1::{self, directive::Kind},
    version,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{HEARTBEAT, Services, invalid, peer, refused, upload::Uploads};
use crate::coordinator::Admitted;

/// Directives that may wait for a participant to read them. One that lets more pile up is not reading.
const PENDING_DIRECTIVES: usize = 32;
/// Longest reason code in a refusal of a task, in bytes.
const MAX_REASON_BYTES: usize = 64;

/// The service for participants.
#[derive(Debug)]
pub(super) struct Participation {
    services: Services,
    uploads: Arc<Uploads>,
}

impl Participation {
    pub(super) const fn new(services: Services, uploads: Arc<Uploads>) -> Self {
        Self { services, uploads }
    }
}

fn task_id(task: Option<v1::TaskId>) -> Result<TaskId, Status> {
    task.ok_or(WireError::Missing { field: "task" })
        .and_then(TaskId::try_from)
        .map_err(|error| invalid(&error))
}

#[tonic::async_trait]
impl participation_server::Participation for Participation {
    type AttendStream = ReceiverStream<Result<v1::Directive, Status>>;

    async fn negotiate(
        &self,
        request: Request<v1::NegotiateRequest>,
    ) -> Result<Response<v1::NegotiateResponse>, Status> {
        let participant = peer::participant(request.extensions(), &self.services.roster)?;
        let request = request.into_inner();
        let minor = version::negotiate(&request).map_err(|error| invalid(&error))?;
        let software: String = cut(&request.software).chars().take(128).collect();
        tracing::info!(%participant, minor, %software, "negotiated");
        let limits = &self.services.limits;
        let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Ok(Response::new(v1::NegotiateResponse {
            minor,
            participant: participant.to_string(),
            software: concat!("federated-coordinator ", env!("CARGO_PKG_VERSION")).to_owned(),
            max_chunk_bytes: u32::try_from(federated_proto::chunk::MAX_CHUNK_BYTES).unwrap_or(u32::MAX),
            max_model_bytes: limits.max_model.get(),
            min_upload_bytes_per_second: limits.min_upload_rate.get(),
            stall_ms: millis(limits.stall),
            heartbeat_ms: millis(HEARTBEAT),
        }))
    }

    async fn attend(
        &self,
        request: Request<v1::AttendRequest>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let identity = peer::identity(request.extensions())?;
        let participant = peer::admitted(&identity, &self.services.roster)?;
        let minor = request.get_ref().minor;
        let spoken = v1::NegotiateRequest { minor_min: minor, minor_max: minor, software: String::new() };
        version::negotiate(&spoken).map_err(|error| invalid(&error))?;
        let (directives, stream) = mpsc::channel(PENDING_DIRECTIVES);
        let coordinator = self.services.coordinator.clone();
        let attended = coordinator.attend(participant.clone(), minor, directives.clone()).await;
        let session = attended.map_err(|error| refused(&error))?;
        let roster = Arc::clone(&self.services.roster);
        tokio::spawn(async move {
            // Until the participant's connection ends, a later one replaces it, or the participant is withdrawn.
            while tokio::time::timeout(HEARTBEAT, directives.closed()).await.is_err() {
                let heartbeat = || v1::Directive { kind: Some(Kind::Heartbeat(v1::Heartbeat {})) };
                let directive = peer::admitted(&identity, &roster).map(|_| heartbeat());
                let withdrawn = directive.is_err();
                if matches!(directives.try_send(directive), Err(mpsc::error::TrySendError::Full(_))) {
                    tracing::warn!(%participant, "does not read its directives and is taken for gone");
                    break;
                }
                if withdrawn {
                    tracing::warn!(%participant, "may no longer take part");
                    break;
                }
            }
            coordinator.leave(participant, session).await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn query_upload(
        &self,
        request: Request<v1::QueryUploadRequest>,
    ) -> Result<Response<v1::QueryUploadResponse>, Status> {
        let participant = peer::participant(request.extensions(), &self.services.roster)?;
        let request = request.into_inner();
        let task = task_id(request.task)?;
        let content = convert::digest("digest", &request.digest).map_err(|error| invalid(&error))?;
        let admitted = self.services.coordinator.admit(participant.clone(), task.clone(), content).await;
        match admitted.map_err(|error| refused(&error))? {
            Admitted::Duplicate { bytes: durable_bytes } => {
                Ok(Response::new(v1::QueryUploadResponse { durable_bytes, complete: true }))
            }
            Admitted::Welcome(_) => {
                // An upload that is still under way on a dead connection must not append after the answer.
                let _turn = self.uploads.turn(&participant).await;
                let store = Arc::clone(&self.services.store);
                let files = self.services.files.clone();
                let durable_bytes = files.run(move || store.uploaded(&task, &participant, content)).await?;
                Ok(Response::new(v1::QueryUploadResponse { durable_bytes, complete: false }))
            }
        }
    }

    async fn answer_session(
        &self,
        request: Request<v1::AnswerSessionRequest>,
    ) -> Result<Response<v1::AnswerSessionResponse>, Status> {
        let participant = peer::participant(request.extensions(), &self.services.roster)?;
        let (task, message) = request.into_inner().try_into().map_err(|error| invalid(&error))?;
        let answered = self.services.coordinator.answered(participant, task, message).await;
        answered.map_err(|error| refused(&error))?;
        Ok(Response::new(v1::AnswerSessionResponse {}))
    }

    async fn decline_task(
        &self,
        request: Request<v1::DeclineTaskRequest>,
    ) -> Result<Response<v1::DeclineTaskResponse>, Status> {
        let participant = peer::participant(request.extensions(), &self.services.roster)?;
        let request = request.into_inner();
        let task = task_id(request.task)?;
        let code = request.reason;
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if code.is_empty() || code.len() > MAX_REASON_BYTES || !code.bytes().all(allowed) {
            let (expected, found) = ("1 to 64 characters from A-Z, 0-9 and '_'".to_owned(), cut(&code));
            return Err(invalid(&WireError::Range { field: "reason", expected, found }));
        }
        let reason = OutReason::Declined { code, message: cut(&request.message) };
        self.services.coordinator.failed(participant, task, reason).await;
        Ok(Response::new(v1::DeclineTaskResponse {}))
    }
}
