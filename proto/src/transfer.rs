//! The bodies of the calls that move content: [`ChunkBody`] is one that goes out, [`ChunkReader`] one that comes in.
//!
//! tonic's own bodies gather every message in one piece of memory, once on each side. These do not: content goes from
//! where it is to the socket, and from the socket to where it belongs.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body::{Body as _, Frame};
use prost::Message;
use tokio_stream::Stream;
use tonic::{Code, Status, body::Body};

use crate::{
    WireError, details,
    pieces::{Carrier, Part, Pieces, framed, opening},
    v1,
};

/// The type of every gRPC body.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Something that goes out.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "whoever reads or writes content must know every kind")]
pub enum Outgoing {
    /// A message with gRPC's prefix, see [`framed`].
    Message(Bytes),
    /// A chunk of content.
    Chunk(v1::Chunk),
}

/// A body made of messages and chunks, none of them copied.
#[derive(Debug)]
pub struct ChunkBody<S> {
    carrier: Carrier,
    source: S,
    /// The content whose opening was just sent.
    content: Option<Bytes>,
    /// An answer ends with a status; a request simply ends.
    is_answer: bool,
    ended: bool,
}

impl<S: Stream<Item = Result<Outgoing, Status>> + Unpin> http_body::Body for ChunkBody<S> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(content) = self.content.take() {
            return Poll::Ready(Some(Ok(Frame::data(content))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let status = match ready!(Pin::new(&mut self.source).poll_next(cx)) {
            Some(Ok(Outgoing::Message(message))) => return Poll::Ready(Some(Ok(Frame::data(message)))),
            Some(Ok(Outgoing::Chunk(chunk))) => {
                let head = opening(self.carrier, chunk.offset, chunk.data.len());
                self.content = Some(chunk.data);
                return Poll::Ready(Some(Ok(Frame::data(head))));
            }
            Some(Err(status)) if self.is_answer => status,
            Some(Err(status)) => return Poll::Ready(Some(Err(status))),
            None => Status::ok(""),
        };
        self.ended = true;
        if !self.is_answer {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }
}

/// The answer to a call whose messages come from `source`; an error in it becomes the call's status.
pub fn answer<S>(source: S) -> Response<Body>
where
    S: Stream<Item = Result<Outgoing, Status>> + Send + Unpin + 'static,
{
    let body = ChunkBody { carrier: Carrier::Download, source, content: None, is_answer: true, ended: false };
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}

/// The answer to a call that has one message, or none and a reason.
pub fn answer_once(result: Result<impl Message, Status>) -> Response<Body> {
    match result {
        Ok(message) => answer(tokio_stream::once(Ok(Outgoing::Message(framed(&message))))),
        Err(status) => status.into_http(),
    }
}

/// A call of `path`, for instance `/federated.v1.Participation/SubmitUpdate`, whose messages come from `source`.
pub fn call<S>(path: &'static str, source: S) -> Request<Body>
where
    S: Stream<Item = Result<Outgoing, Status>> + Send + Unpin + 'static,
{
    let body = ChunkBody { carrier: Carrier::Upload, source, content: None, is_answer: false, ended: false };
    let mut request = Request::new(Body::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static(path);
    *request.version_mut() = http::Version::HTTP_2;
    request.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    request
}

/// Why a body cannot be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The call failed: the connection broke, or the other side says why.
    #[error(transparent)]
    Status(#[from] Status),
    /// What came breaks the protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Reads the body of a call or of an answer, piece by piece as they come from the network.
#[derive(Debug)]
pub struct ChunkReader {
    body: Body,
    pieces: Pieces,
    /// An answer is over when its status has come; a request when its stream ends.
    awaits_status: bool,
}

impl ChunkReader {
    /// Reads a request. `carrier` says in which message its chunks travel, if it has any.
    #[must_use]
    pub fn of_request(body: Body, carrier: Option<Carrier>) -> Self {
        Self { body, pieces: Pieces::new(carrier), awaits_status: false }
    }

    /// Reads an answer. `carrier` says in which message its chunks travel, if it has any.
    ///
    /// # Errors
    /// The call's status, when the answer is nothing but a refusal.
    pub fn of_answer(response: Response<Body>, carrier: Option<Carrier>) -> Result<Self, Status> {
        let (head, body) = response.into_parts();
        refused(&head.headers)?;
        if head.status != http::StatusCode::OK {
            return Err(Status::unavailable(format!("expected HTTP status 200, found {}", head.status)));
        }
        Ok(Self { body, pieces: Pieces::new(carrier), awaits_status: true })
    }

    /// The next message or piece of content; `None` at the end. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn next(&mut self) -> Result<Option<Part>, ReadError> {
        loop {
            if let Some(part) = self.pieces.next_part()? {
                return Ok(Some(part));
            }
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            let Some(frame) = frame.transpose()? else {
                if self.awaits_status {
                    return Err(Status::unavailable("the answer ended without a status").into());
                }
                self.pieces.finish()?;
                return Ok(None);
            };
            match frame.into_data() {
                Ok(data) => self.pieces.push(data),
                Err(other) => {
                    if let Some(trailers) = other.trailers_ref() {
                        refused(trailers)?;
                        self.awaits_status = false;
                    }
                }
            }
        }
    }

    /// The one message of a call or an answer that has no more than one.
    ///
    /// # Errors
    /// [`ReadError`] when there is none, or it cannot be parsed.
    pub async fn only<M: Message + Default>(&mut self) -> Result<M, ReadError> {
        let Some(Part::Message(message)) = self.next().await? else {
            return Err(WireError::Unexpected { expected: "a message", found: "the end" }.into());
        };
        while self.next().await?.is_some() {}
        Ok(decode(message)?)
    }
}

/// Parses a message.
///
/// # Errors
/// [`WireError::Unexpected`] when the bytes are not such a message.
pub fn decode<M: Message + Default>(message: Bytes) -> Result<M, WireError> {
    M::decode(message)
        .map_err(|_| WireError::Unexpected { expected: "a message of the protocol", found: "other bytes" })
}

/// The status in headers or trailers, when it is a refusal.
fn refused(headers: &HeaderMap) -> Result<(), Status> {
    match details::status(headers) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(()),
    }
}
