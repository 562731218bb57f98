#![no_main]
//! Bodies of calls and answers: frames of any size, trailers of any kind, at any place.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use arbitrary::Arbitrary;
use bytes::Bytes;
use federated_proto::{
    pieces::Carrier,
    refusal::Refusal,
    transfer::{ChunkReader, ReadError, decode},
    v1,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::Frame;
use libfuzzer_sys::fuzz_target;
use tonic::{Status, body::Body};

const NAMES: [&str; 5] =
    ["grpc-status", "grpc-message", "grpc-status-details-bin", "federated-reason", "content-type"];

type Fields = Vec<(u8, Vec<u8>)>;

#[derive(Arbitrary, Debug)]
enum Frames {
    Data(Vec<u8>),
    Trailers(Fields),
    Broken,
}

#[derive(Arbitrary, Debug)]
struct Call {
    /// The HTTP status and the headers, if it is an answer.
    answer: Option<(u16, Fields)>,
    carrier: Option<bool>,
    only: bool,
    frames: Vec<Frames>,
}

fn headers(fields: Fields) -> HeaderMap {
    let field = |(name, value): (u8, Vec<u8>)| {
        let name = HeaderName::from_static(NAMES[usize::from(name) % NAMES.len()]);
        Some((name, HeaderValue::from_maybe_shared(Bytes::from(value)).ok()?))
    };
    fields.into_iter().filter_map(field).collect()
}

struct Network(VecDeque<Result<Frame<Bytes>, Status>>);

impl http_body::Body for Network {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.pop_front())
    }
}

async fn read(reader: Result<ChunkReader, Status>, only: bool) -> Result<(), ReadError> {
    let mut reader = reader?;
    if only {
        reader.only::<v1::SubmitUpdateResponse>().await?;
        return Ok(());
    }
    while let Some(part) = reader.next().await? {
        if let federated_proto::pieces::Part::Message(message) = part {
            decode::<v1::SubmitUpdateRequest>(message)?;
        }
    }
    Ok(())
}

fuzz_target!(|call: Call| {
    let frames = call.frames.into_iter().map(|frame| match frame {
        Frames::Data(data) => Ok(Frame::data(data.into())),
        Frames::Trailers(fields) => Ok(Frame::trailers(headers(fields))),
        Frames::Broken => Err(Status::unavailable("the connection broke")),
    });
    let body = Body::new(Network(frames.collect()));
    let carrier = call.carrier.map(|upload| if upload { Carrier::Upload } else { Carrier::Download });
    let reader = match call.answer {
        None => Ok(ChunkReader::of_request(body, carrier)),
        Some((status, fields)) => {
            let mut response = Response::new(body);
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::OK);
            *response.headers_mut() = headers(fields);
            ChunkReader::of_answer(response, carrier)
        }
    };
    let mut reading = pin!(read(reader, call.only));
    let Poll::Ready(ended) = reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the network never lets anybody wait");
    };
    if let Err(ReadError::Status(status)) = ended {
        let _ = Refusal::from_status(&status);
    }
});
