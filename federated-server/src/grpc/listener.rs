use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ServerConfig, server::Acceptor};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    connection::Connection,
    door::{Door, Seat},
    socket::{Buffers, SOCKET_BYTES, Socket},
};
use crate::config::Limits;

/// Connections that are through their handshake and wait to be served.
const BACKLOG: usize = 64;
/// After an error of the listening socket, for instance too many open files, how long to wait.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts connections until `shutdown`. A peer has to introduce itself within `limits.handshake`, and sooner while others
/// wait for its seat at the [`Door`], so that neither garbage nor silence holds anybody up for long; so many may be inside
/// as [`Limits::places`] says. Those that were accepted break when `cut` is cancelled.
pub(super) fn incoming(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    limits: &Limits,
    shutdown: CancellationToken,
    cut: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let (connections, incoming) = mpsc::channel(BACKLOG);
    let places = limits.places(open_files());
    if places.inside < limits.max_connections.get() {
        let (wanted, most) = (limits.max_connections, places.inside);
        tracing::warn!(%wanted, most, "the system lets this process open too few files for limits.max_connections");
    }
    let entrance = Entrance {
        tls,
        door: Arc::new(Door::new(places.at_the_door)),
        inside: Arc::new(Semaphore::new(places.inside)),
        buffers: Arc::default(),
        patience: limits.handshake,
    };
    let accept_all = async move {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    // After the connection, not before: nobody is sent away when nobody waits.
                    let seat = tokio::select! {
                        biased;
                        seat = entrance.door.enter() => seat,
                        () = is_gone(&stream) => continue,
                    };
                    let (entrance, connections, cut) = (entrance.clone(), connections.clone(), cut.clone());
                    tokio::spawn(async move {
                        if let Some(connection) = entrance.meet(stream, address, seat).await {
                            let connection = connection.until(cut);
                            // The receiver is gone when the server stops.
                            let _ = connections.send(Ok(connection)).await;
                        }
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections at present");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    };
    tokio::spawn(async move { shutdown.run_until_cancelled(accept_all).await });
    ReceiverStream::new(incoming)
}

/// What a connection meets first.
#[derive(Clone, Debug)]
struct Entrance {
    tls: Arc<ServerConfig>,
    door: Arc<Door>,
    inside: Arc<Semaphore>,
    buffers: Arc<Buffers>,
    patience: Duration,
}

impl Entrance {
    /// Does the TLS handshake. The connection keeps its seat until its peer has greeted in HTTP/2, too.
    async fn meet(self, stream: TcpStream, address: SocketAddr, seat: Seat) -> Option<Connection> {
        let must_go = seat.must_go();
        let handshake = tokio::time::timeout(self.patience, self.handshake(stream, &seat));
        // Who is sent away, and why, is in the door's log.
        let result = must_go.run_until_cancelled(handshake).await?;
        match result {
            Ok(Ok(mut stream)) => {
                stream.get_mut().1.set_buffer_limit(Some(SOCKET_BYTES));
                Some(Connection::new(stream, address, seat, self.inside, self.patience))
            }
            // Nothing was said: there is nothing to say about it.
            Ok(Err(error)) if is_silence(&error) => {
                tracing::debug!(%address, %error, "connection lost before the handshake");
                None
            }
            Ok(Err(error)) => {
                tracing::warn!(%address, %error, "TLS handshake refused");
                None
            }
            Err(_) => {
                tracing::warn!(%address, patience = ?self.patience, "TLS handshake took too long and was given up");
                None
            }
        }
    }

    async fn handshake(&self, stream: TcpStream, seat: &Seat) -> io::Result<TlsStream<Socket>> {
        // Without this a small message waits for the acknowledgement of the one before.
        stream.set_nodelay(true)?;
        let socket = Socket::new(stream, Arc::clone(&self.buffers));
        let hello = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
        seat.greeted();
        hello.into_stream(Arc::clone(&self.tls)).await
    }
}

/// Ready when the peer has given up.
async fn is_gone(stream: &TcpStream) {
    if let Ok(1..) = stream.peek(&mut [0]).await {
        std::future::pending::<()>().await;
    }
}

fn is_silence(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected | UnexpectedEof)
}

/// How many files the system lets this process open.
fn open_files() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    return None;
}
