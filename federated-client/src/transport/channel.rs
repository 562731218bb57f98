use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::{
    Status,
    transport::{Channel, Endpoint, Uri},
};

use super::{
    SiteIdentity, TransportError,
    dial::dial,
    watched::{Failure, Watched},
};
use crate::config::CoordinatorAddress;

/// Flow-control windows, in bytes: at 100 ms round trip 16 MiB allow 160 MB/s, the usual 64 KiB under 1 MB/s.
const STREAM_WINDOW: u32 = 16 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Largest HTTP/2 frame accepted: sixteen times the usual size, so that content comes in pieces worth copying.
const FRAME_BYTES: u32 = 256 << 10;
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// gRPC on one connection. It does not reconnect: a new connection starts with a new negotiation.
#[derive(Clone)]
pub(crate) struct Link {
    channel: Channel,
    failure: Failure,
}

impl Link {
    /// Where calls are made.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The real reason of a call that failed without an answer of the coordinator.
    pub(crate) fn explain(&self, status: &Status) -> TransportError {
        self.failure.get().cloned().unwrap_or_else(|| {
            let detail = federated_proto::refusal::cut(status.message());
            TransportError::Broken { detail }
        })
    }
}

/// Connects to the coordinator.
pub(crate) async fn open(
    coordinator: &CoordinatorAddress,
    identity: &SiteIdentity,
) -> Result<Link, TransportError> {
    let stream = dial(coordinator, identity).await?;
    let failure = stream.failure();
    let broken = |error: tonic::transport::Error| TransportError::Broken { detail: chain(&error) };
    let channel = endpoint(coordinator)
        .map_err(broken)?
        .connect_with_connector(once(stream))
        .await
        .map_err(|error| failure.get().cloned().unwrap_or_else(|| broken(error)))?;
    Ok(Link { channel, failure })
}

fn endpoint(coordinator: &CoordinatorAddress) -> Result<Endpoint, tonic::transport::Error> {
    let authority = coordinator.authority();
    // tonic leaves TLS to the connector when the scheme is http; `origin` is what the coordinator sees.
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))?;
    let origin: Uri = format!("https://{authority}").parse().unwrap_or_else(|_| endpoint.uri().clone());
    Ok(endpoint
        .origin(origin)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_BYTES)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

/// A connector that has one stream to give: tonic would otherwise reconnect by itself, without back-off and without
/// negotiating.
fn once(
    stream: Watched,
) -> impl tower::Service<
    Uri,
    Response = TokioIo<Watched>,
    Error = TransportError,
    Future = std::future::Ready<Result<TokioIo<Watched>, TransportError>>,
> + Send
+ 'static {
    let mut slot = Some(stream);
    tower::service_fn(move |_: Uri| {
        let stream = slot.take().map(TokioIo::new);
        std::future::ready(
            stream.ok_or_else(|| TransportError::Broken { detail: "it was closed".to_owned() }),
        )
    })
}

/// An error with everything that caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
