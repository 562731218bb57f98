//! The network: gRPC over mutual TLS.
//!
//! Read in this order: `listener` accepts connections and does the TLS handshake, `door` is where their peers sit until they have introduced
//! themselves, `socket` is what is read from,
//! `connection` is one of them with who is at its other end, `peer` says whether a caller may call, `participation` and `operation` are the two services,
//! `transfers` serves those of their calls that move content: `upload`, with the `intake` of one upload to the spool, and
//! `download`. `file_work` is where all of them touch files. Everything that decides something is in
//! [`coordinator`](crate::coordinator).

mod connection;
mod door;
mod download;
mod file_work;
mod intake;
mod listener;
mod operation;
mod participation;
mod peer;
mod socket;
mod transfers;
mod upload;

use std::{io, sync::Arc, time::Duration};

use federated_core::fault::{Fault, ReasonCode};
use federated_proto::{
    WireError, refusal,
    service::{operation_server::OperationServer, participation_server::ParticipationServer},
    transfer::ReadError,
};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use transfers::Transfers;

pub(crate) use download::SharedChunks;
pub(crate) use file_work::FileWork;

use crate::{
    config::Limits,
    coordinator::{Coordinator, CoordinatorError},
    identity::Roster,
    store::{Store, StoreError},
};

/// A directive is sent at least this often on an Attend stream.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A connection on which nothing moves is asked for a sign of life after this long.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// A message may be as large as a chunk or a header with the longest layout.
const MAX_MESSAGE_BYTES: usize = 8 << 20;
/// Largest HTTP/2 frame accepted: sixteen times the usual size, so that content comes in pieces worth writing.
const FRAME_BYTES: u32 = 256 << 10;
/// Calls at one time on one connection: a participant needs three.
const MAX_STREAMS: u32 = 32;

/// What both services share.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    pub(crate) coordinator: Coordinator,
    pub(crate) store: Arc<Store>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) shared: Arc<SharedChunks>,
    pub(crate) files: FileWork,
}

/// Serves until `shutdown` is cancelled, then lets open calls end for at most `grace`. When this returns or is dropped,
/// every connection is cut.
pub(crate) async fn serve(
    services: Services,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    shutdown: CancellationToken,
    grace: Duration,
) -> io::Result<()> {
    let cut = CancellationToken::new();
    let _cut_on_drop = cut.clone().drop_guard();
    let incoming = listener::incoming(listener, tls, &services.limits, shutdown.clone(), cut);
    let uploads = Arc::new(upload::Uploads::new(&services.limits));
    let participation = participation::Participation::new(services.clone(), Arc::clone(&uploads));
    let participation = ParticipationServer::new(participation).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let operation = operation::Operation::new(services.clone());
    let operation = OperationServer::new(operation).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let window = services.limits.upload_window.bytes();
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .initial_stream_window_size(window)
        // An upload that waits must not stop the participant's other calls.
        .initial_connection_window_size(2 * window)
        .max_concurrent_streams(MAX_STREAMS)
        .max_frame_size(FRAME_BYTES)
        .add_service(Transfers::new(participation, services.clone(), Arc::clone(&uploads)))
        .add_service(Transfers::new(operation, services, uploads))
        .serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
    let last_call = async {
        shutdown.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    futures::pin_mut!(server, last_call);
    match futures::future::select(server, last_call).await {
        futures::future::Either::Left((result, _)) => result.map_err(io::Error::other),
        futures::future::Either::Right(_) => Ok(()),
    }
}

/// What a peer is told about an error of the coordinator.
fn refused(error: &CoordinatorError) -> Status {
    let code = match error {
        CoordinatorError::JobUnknown { .. } => tonic::Code::NotFound,
        CoordinatorError::JobExists { .. } => tonic::Code::AlreadyExists,
        CoordinatorError::JobEnded { .. }
        | CoordinatorError::JobNotPaused { .. }
        | CoordinatorError::NoSigningKey { .. }
        | CoordinatorError::JobNotFailed { .. } => tonic::Code::FailedPrecondition,
        _ => refusal::code_of(error.fault()),
    };
    refusal::refuse_with(code, error.reason(), &error.safe_message())
}

/// What a peer is told when its call cannot be read.
fn read_failed(error: ReadError) -> Status {
    match error {
        ReadError::Wire(error) => invalid(&error),
        ReadError::Status(status) => status,
        other => Status::internal(other.to_string()),
    }
}

/// What a peer is told about an error of the store.
fn store_refused(error: &StoreError) -> Status {
    let code = match error {
        StoreError::UnknownModel { .. } => tonic::Code::NotFound,
        StoreError::Content(_) => tonic::Code::InvalidArgument,
        _ => refusal::code_of(error.fault()),
    };
    if !matches!(error, StoreError::UnknownModel { .. } | StoreError::Content(_)) {
        tracing::error!(%error, "storage failed");
    }
    refusal::refuse_with(code, error.reason(), &error.safe_message())
}

/// What a peer is told when this side fails in a way that it should not.
fn internal() -> Status {
    refusal::refuse(Fault::Bug, ReasonCode::new("INTERNAL"), "an internal error; it is in the log")
}

/// What a peer is told about a message that cannot be used.
fn invalid(error: &WireError) -> Status {
    let code = match error {
        // The message is well-formed; it is the two sides that do not fit.
        WireError::Version { .. } => tonic::Code::FailedPrecondition,
        _ => tonic::Code::InvalidArgument,
    };
    refusal::refuse_with(code, error.reason(), &error.to_string())
}
