//! Peers of other versions: no version in common, and messages with fields of the future.

use federated_proto::v1;
use federated_tests::{Federation, Job, Site, Update, assert_refused, model};
use prost::Message;
use tonic::{Code, Request, Status, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_prost::ProstCodec;

#[tokio::test]
async fn peers_without_a_version_in_common_are_told_which_side_to_update() {
    let federation = Federation::start().await;
    let mut raw = federation.participant("a").await;
    let words =
        "expected a minor version of federated.v1 between 0 and 3, found 4 to 7; update the older side";
    assert_refused(raw.negotiate(4, 7).await, Code::FailedPrecondition, "VERSION_UNSUPPORTED", words);
    let result = raw.client().attend(v1::AttendRequest { minor: 5 }).await;
    assert_refused(result, Code::FailedPrecondition, "VERSION_UNSUPPORTED", "found 5 to 5");
    let words = "field `minor_min`: expected at most 2, found 3";
    assert_refused(raw.negotiate(3, 2).await, Code::InvalidArgument, "MESSAGE_INVALID", words);
}

#[tokio::test]
async fn a_newer_peer_that_still_speaks_this_version_is_answered_in_it() {
    let federation = Federation::start().await;
    let mut raw = federation.participant("a").await;
    let answer = raw.negotiate(0, u32::MAX).await.unwrap();
    assert_eq!((answer.minor, answer.participant.as_str()), (3, "a"));
    assert!(answer.software.starts_with("federated-coordinator "), "{}", answer.software);
    assert_eq!(answer.max_chunk_bytes, (4 << 20) - (64 << 10));
    assert_eq!((answer.stall_ms, answer.min_upload_bytes_per_second), (30_000, 1_024));
}

/// `NegotiateRequest` as a later version may have it.
#[derive(Clone, PartialEq, Message)]
struct LaterNegotiateRequest {
    #[prost(uint32, tag = "2")]
    minor_max: u32,
    #[prost(string, tag = "3")]
    software: String,
    #[prost(message, optional, tag = "400")]
    abilities: Option<Abilities>,
}

#[derive(Clone, PartialEq, Message)]
struct Abilities {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
    #[prost(fixed64, tag = "536870911")]
    bits: u64,
}

/// `SubmitUpdateRequest` with a header that has more fields, and a part of a kind unknown today.
#[derive(Clone, PartialEq, Message)]
struct LaterSubmitUpdateRequest {
    #[prost(message, optional, tag = "1")]
    header: Option<LaterUpdateHeader>,
    #[prost(message, optional, tag = "2")]
    chunk: Option<v1::Chunk>,
    #[prost(message, optional, tag = "3")]
    proof: Option<Abilities>,
}

#[derive(Clone, PartialEq, Message)]
struct LaterUpdateHeader {
    #[prost(message, optional, tag = "1")]
    task: Option<v1::TaskId>,
    #[prost(message, optional, tag = "2")]
    layout: Option<v1::ModelLayout>,
    #[prost(bytes = "bytes", tag = "3")]
    digest: bytes::Bytes,
    #[prost(uint64, tag = "4")]
    size_bytes: u64,
    #[prost(uint64, tag = "5")]
    examples: u64,
    #[prost(bytes = "bytes", tag = "90")]
    signature: bytes::Bytes,
}

async fn later_upload(channel: Channel, update: &Update) -> Result<v1::SubmitUpdateResponse, Status> {
    let header = LaterUpdateHeader {
        task: update.header.task.clone(),
        layout: update.header.layout.clone(),
        digest: update.header.digest.clone(),
        size_bytes: update.header.size_bytes,
        examples: update.header.examples,
        signature: bytes::Bytes::from_static(&[9; 64]),
    };
    let chunk = v1::Chunk { offset: 0, data: update.bytes.clone() };
    let parts = [
        LaterSubmitUpdateRequest { header: Some(header), ..Default::default() },
        LaterSubmitUpdateRequest { proof: Some(Abilities::default()), ..Default::default() },
        LaterSubmitUpdateRequest { chunk: Some(chunk), ..Default::default() },
    ];
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.expect("a connection");
    let path = PathAndQuery::from_static("/federated.v1.Participation/SubmitUpdate");
    let request = Request::new(tokio_stream::iter(parts));
    let codec = ProstCodec::<LaterSubmitUpdateRequest, v1::SubmitUpdateResponse>::default();
    grpc.client_streaming(request, path, codec).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn fields_and_parts_of_a_later_version_are_skipped() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;

    let tls = federated_tests::ClientTls::from_bundle(&federation.enroll("a"));
    let channel = tls.channel(federation.address()).await;
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.expect("a connection");
    let request = LaterNegotiateRequest {
        minor_max: 4,
        software: "later".to_owned(),
        abilities: Some(Abilities { names: vec!["masking".to_owned()], bits: u64::MAX }),
    };
    let path = PathAndQuery::from_static("/federated.v1.Participation/Negotiate");
    let codec = ProstCodec::<LaterNegotiateRequest, v1::NegotiateResponse>::default();
    let answer = grpc.unary(Request::new(request), path, codec).await.expect("an answer");
    assert_eq!(answer.into_inner().minor, 3);

    operator.start(&Job::new("heart", 2)).await;
    let update = Update::constant(&a.line.task().await, 1.0, 1);
    let receipt = later_upload(channel, &update).await.expect("a receipt");
    assert_eq!(receipt.digest, update.header.digest);
    b.contribute(3.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}
