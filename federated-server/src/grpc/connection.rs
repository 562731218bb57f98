use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::{door::Seat, socket::Socket};
use crate::identity::{IdentityError, PeerIdentity};

/// Who is at the other end of a connection: known once, when it is made, and carried by every request on it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) identity: Arc<Result<PeerIdentity, IdentityError>>,
}

/// A connection after its TLS handshake. It has a seat at the door until its peer has greeted, and then counts against
/// the limit of connections until it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TlsStream<Socket>,
    peer: Peer,
    cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    standing: Standing,
}

/// Whether the peer is known to speak the protocol.
#[derive(Debug)]
enum Standing {
    /// It has not greeted.
    Stranger(Greeting),
    /// It has, and counts against the limit of connections.
    Inside(#[expect(dead_code, reason = "held until the connection is dropped")] OwnedSemaphorePermit),
}

/// What is still missing of the preface that opens HTTP/2, and how long it may take: a peer that finishes TLS and then
/// says nothing would hold its seat for ever.
#[derive(Debug)]
struct Greeting {
    missing: usize,
    patience: Pin<Box<Sleep>>,
    must_go: Pin<Box<WaitForCancellationFutureOwned>>,
    inside: Arc<Semaphore>,
    _seat: Seat,
}

/// The length of the client's preface, in bytes: RFC 9113, section 3.4.
const PREFACE_BYTES: usize = 24;

impl Connection {
    /// A connection whose peer must greet within `patience`, and then gets a place `inside`.
    pub(super) fn new(
        stream: TlsStream<Socket>,
        address: SocketAddr,
        seat: Seat,
        inside: Arc<Semaphore>,
        patience: Duration,
    ) -> Self {
        let certificates = stream.get_ref().1.peer_certificates();
        let identity = certificates
            .and_then(<[_]>::first)
            .map_or(Err(IdentityError::Names { found: 0 }), PeerIdentity::from_certificate);
        if let Ok(identity) = &identity {
            seat.introduced(identity.fingerprint);
        }
        let greeting = Greeting {
            missing: PREFACE_BYTES,
            patience: Box::pin(sleep(patience)),
            must_go: Box::pin(seat.must_go().cancelled_owned()),
            inside,
            _seat: seat,
        };
        let peer = Peer { address, identity: Arc::new(identity) };
        Self { peer, stream, cut: None, standing: Standing::Stranger(greeting) }
    }

    /// The same connection, which breaks when `cut` is cancelled: no peer can keep it open.
    pub(super) fn until(self, cut: CancellationToken) -> Self {
        Self { cut: Some(Box::pin(cut.cancelled_owned())), ..self }
    }

    /// Counts what the peer has sent, and gives up on one that does not greet in time.
    fn check_greeting(&mut self, cx: &mut Context<'_>, read: usize) -> io::Result<()> {
        let Standing::Stranger(greeting) = &mut self.standing else { return Ok(()) };
        let address = self.peer.address;
        greeting.missing = greeting.missing.saturating_sub(read);
        if greeting.missing == 0 {
            let Ok(place) = Arc::clone(&greeting.inside).try_acquire_owned() else {
                tracing::warn!(%address, "turned away: there are as many connections as limits.max_connections allows");
                return Err(io::ErrorKind::ConnectionRefused.into());
            };
            self.standing = Standing::Inside(place);
            return Ok(());
        }
        if greeting.must_go.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        match greeting.patience.as_mut().poll(cx) {
            Poll::Ready(()) => {
                tracing::warn!(%address, "connected and did not speak HTTP/2 in time");
                Err(io::ErrorKind::TimedOut.into())
            }
            Poll::Pending => Ok(()),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(cut) = &mut self.cut
            && cut.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.check_greeting(cx, buf.filled().len() - before)?;
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
