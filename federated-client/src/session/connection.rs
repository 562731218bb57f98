use std::time::Duration;

use federated_core::ids::ParticipantName;
use federated_proto::{
    WireError,
    chunk::MAX_CHUNK_BYTES,
    details::{PlainChannel, plain},
    pieces::Carrier,
    refusal::cut,
    transfer::{self, ChunkReader, Outgoing, ReadError},
    v1::{self, participation_client::ParticipationClient},
    version::{MINOR_MAX, MINOR_MIN},
};
use tokio_stream::Stream;
use tonic::Streaming;
use tower::ServiceExt;

use super::{ClientError, call::CallError};
use crate::{
    config::CoordinatorAddress,
    transport::{self, Link, SiteIdentity},
};

/// Largest message accepted, in bytes: a chunk of the largest size fits.
const MAX_MESSAGE: usize = 4 << 20;
/// How long the coordinator may take to answer a short call.
const ANSWER: Duration = Duration::from_secs(30);

/// What the coordinator and this participant agreed on.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) minor: u32,
    pub(crate) participant: ParticipantName,
    pub(crate) software: String,
    pub(crate) max_chunk: usize,
    pub(crate) max_model: u64,
    pub(crate) heartbeat: Duration,
}

/// An open connection on which versions and names are agreed.
#[derive(Clone)]
pub(crate) struct Connection {
    link: Link,
    terms: Terms,
}

impl Connection {
    /// Connects and negotiates.
    pub(crate) async fn open(
        coordinator: &CoordinatorAddress,
        identity: &SiteIdentity,
    ) -> Result<Self, ConnectError> {
        let link = transport::open(coordinator, identity).await?;
        let request = v1::NegotiateRequest {
            minor_min: MINOR_MIN,
            minor_max: MINOR_MAX,
            software: concat!("federated-client ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let mut request = tonic::Request::new(request);
        request.set_timeout(ANSWER);
        let answer =
            client(&link).negotiate(request).await.map_err(|status| CallError::new(&link, &status))?;
        let terms = terms(answer.into_inner(), identity.name())?;
        Ok(Self { link, terms })
    }

    pub(crate) const fn terms(&self) -> &Terms {
        &self.terms
    }

    pub(super) fn client(&self) -> ParticipationClient<PlainChannel> {
        client(&self.link)
    }

    /// Makes one of the calls that move content; gives the reader of its answer.
    pub(super) async fn transfer<S>(
        &self,
        path: &'static str,
        source: S,
        carrier: Option<Carrier>,
    ) -> Result<ChunkReader, CallError>
    where
        S: Stream<Item = Result<Outgoing, tonic::Status>> + Send + Unpin + 'static,
    {
        let answer = self.link.channel().oneshot(transfer::call(path, source)).await;
        let answer = answer.map_err(|error| tonic::Status::from_error(error.into()));
        let reader = answer.and_then(|answer| ChunkReader::of_answer(answer, carrier));
        reader.map_err(|status| self.error(&status))
    }

    /// Why an answer cannot be read on.
    pub(super) fn read_error(&self, error: ReadError) -> CallError {
        match error {
            ReadError::Wire(error) => error.into(),
            ReadError::Status(status) => self.error(&status),
            other => self.error(&tonic::Status::unknown(other.to_string())),
        }
    }

    /// What a failed call on this connection says.
    pub(super) fn error(&self, status: &tonic::Status) -> CallError {
        CallError::new(&self.link, status)
    }

    /// Takes part from now on.
    pub(super) async fn attend(&self) -> Result<Streaming<v1::Directive>, CallError> {
        let request = v1::AttendRequest { minor: self.terms.minor };
        let answer = self.client().attend(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| self.error(&status))
    }

    /// Says that a task will not be done.
    pub(super) async fn decline(&self, request: v1::DeclineTaskRequest) -> Result<(), CallError> {
        let answer = self.client().decline_task(request).await;
        answer.map(drop).map_err(|status| self.error(&status))
    }

    /// Answers a stage of secure aggregation.
    pub(super) async fn answer(&self, request: v1::AnswerSessionRequest) -> Result<(), CallError> {
        let answer = self.client().answer_session(request).await;
        answer.map(drop).map_err(|status| self.error(&status))
    }
}

fn client(link: &Link) -> ParticipationClient<PlainChannel> {
    ParticipationClient::new(plain(link.channel()))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE)
}

/// Why there is no agreed connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The participant must stop.
    #[error(transparent)]
    Final(#[from] ClientError),
}

impl From<crate::transport::TransportError> for ConnectError {
    fn from(error: crate::transport::TransportError) -> Self {
        Self::Call(error.into())
    }
}

fn terms(answer: v1::NegotiateResponse, name: &ParticipantName) -> Result<Terms, ClientError> {
    let answered = answer.participant.parse::<ParticipantName>();
    let participant = match answered {
        Ok(participant) if participant == *name => participant,
        _ => {
            return Err(ClientError::WrongName {
                configured: name.clone(),
                answered: cut(&answer.participant).chars().take(80).collect(),
            });
        }
    };
    if !(MINOR_MIN..=MINOR_MAX).contains(&answer.minor) {
        let source = WireError::Version {
            ours_min: MINOR_MIN,
            ours_max: MINOR_MAX,
            theirs_min: answer.minor,
            theirs_max: answer.minor,
        };
        return Err(ClientError::Answer { source });
    }
    let max_chunk = usize::try_from(answer.max_chunk_bytes).unwrap_or(MAX_CHUNK_BYTES);
    Ok(Terms {
        minor: answer.minor,
        participant,
        software: cut(&answer.software),
        max_chunk: max_chunk.clamp(1, MAX_CHUNK_BYTES),
        max_model: answer.max_model_bytes,
        heartbeat: Duration::from_millis(answer.heartbeat_ms.clamp(100, 600_000)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(participant: &str, minor: u32) -> v1::NegotiateResponse {
        v1::NegotiateResponse {
            minor,
            participant: participant.to_owned(),
            software: "federated-coordinator 0.1.0\n".to_owned(),
            max_chunk_bytes: u32::MAX,
            max_model_bytes: 1,
            min_upload_bytes_per_second: 1,
            stall_ms: 1,
            heartbeat_ms: 0,
        }
    }

    #[test]
    fn an_answer_is_bounded_before_it_is_used() {
        let terms = terms(answer("cleveland", 0), &"cleveland".parse().unwrap()).unwrap();
        assert_eq!(terms.max_chunk, MAX_CHUNK_BYTES);
        assert_eq!(terms.heartbeat, Duration::from_millis(100));
        assert_eq!(terms.software, "federated-coordinator 0.1.0 ");
    }

    #[test]
    fn a_coordinator_that_knows_us_by_another_name_ends_the_session() {
        for answered in ["hungary", "", "../x"] {
            let error = terms(answer(answered, 0), &"cleveland".parse().unwrap()).unwrap_err();
            assert!(matches!(error, ClientError::WrongName { .. }), "{error}");
        }
        let error = terms(answer("cleveland", 9), &"cleveland".parse().unwrap()).unwrap_err();
        assert!(matches!(error, ClientError::Answer { source: WireError::Version { .. } }), "{error}");
    }
}
