//! Answers without `grpc-status-details-bin`.
//!
//! tonic 0.14 panics when the value of this header is not base64, and a peer may send anything. The protocol does not use it, so
//! it is taken out of every answer before tonic looks at it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body, transport::Channel};
use tower::{ServiceExt as _, util::MapResponse};

const DETAILS: &str = "grpc-status-details-bin";

/// A channel whose answers carry no details.
pub type PlainChannel = MapResponse<Channel, fn(Response<Body>) -> Response<Body>>;

/// Takes the details out of all answers.
#[must_use]
pub fn plain(channel: Channel) -> PlainChannel {
    channel.map_response(without_details)
}

/// The status in headers or trailers, without details.
#[must_use]
pub fn status(headers: &HeaderMap) -> Option<Status> {
    if headers.contains_key(DETAILS) {
        let mut headers = headers.clone();
        remove_details(&mut headers);
        return Status::from_header_map(&headers);
    }
    Status::from_header_map(headers)
}

fn remove_details(headers: &mut HeaderMap) {
    headers.remove(DETAILS);
}

/// Takes the details out of an answer: its headers, and the trailers at its end.
pub fn without_details(mut answer: Response<Body>) -> Response<Body> {
    remove_details(answer.headers_mut());
    answer.map(|body| Body::new(WithoutDetails(body)))
}

struct WithoutDetails(Body);

impl http_body::Body for WithoutDetails {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.0).poll_frame(context);
        frame.map_ok(|mut frame| {
            frame.trailers_mut().map(remove_details);
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::v1::{self, participation_client::ParticipationClient};

    /// A body that has trailers alone.
    struct Trailers(Option<HeaderMap>);

    impl http_body::Body for Trailers {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.take().map(|trailers| Ok(Frame::trailers(trailers))))
        }
    }

    /// A refusal with details that are no base64.
    fn hostile() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", "9".parse().unwrap());
        headers.insert(DETAILS, "]1L%[".parse().unwrap());
        headers
    }

    #[tokio::test]
    async fn details_that_are_no_base64_are_a_refusal_like_any_other_in_headers_and_in_trailers() {
        for in_headers in [true, false] {
            let peer = tower::service_fn(move |_: http::Request<Body>| async move {
                let mut answer = Response::new(Body::new(Trailers((!in_headers).then(hostile))));
                answer.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                if in_headers {
                    answer.headers_mut().extend(hostile());
                }
                Ok::<_, Infallible>(answer)
            });
            let mut client = ParticipationClient::new(peer.map_response(without_details));
            let status = client.negotiate(v1::NegotiateRequest::default()).await.unwrap_err();
            assert_eq!(status.code(), tonic::Code::FailedPrecondition);
        }
    }
}
