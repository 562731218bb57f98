use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    connection::Connection,
    socket::{Buffers, SOCKET_BYTES, Socket},
};
use crate::config::Limits;

/// Connections that are through their handshake and wait to be served.
const BACKLOG: usize = 64;
/// After an error of the listening socket, for instance too many open files, how long to wait.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts connections until `shutdown`: at most `limits.max_connections` at a time, each with a TLS handshake that is
/// given up after `limits.handshake`, so that neither garbage nor silence holds a place for long. Those that were
/// accepted break when `cut` is cancelled.
pub(super) fn incoming(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    limits: &Limits,
    shutdown: CancellationToken,
    cut: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let (connections, incoming) = mpsc::channel(BACKLOG);
    let places = Arc::new(Semaphore::new(limits.max_connections.get()));
    let (acceptor, patience) = (TlsAcceptor::from(tls), limits.handshake);
    let buffers = Arc::new(Buffers::default());
    let accept_all = async move {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, address)) => {
                    // Without this a small message waits for the acknowledgement of the one before.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%address, %error, "connection lost before the handshake");
                        continue;
                    }
                    let handshake = handshake(
                        acceptor.clone(),
                        Socket::new(stream, Arc::clone(&buffers)),
                        address,
                        patience,
                        place,
                    );
                    let (connections, cut) = (connections.clone(), cut.clone());
                    tokio::spawn(async move {
                        if let Some(connection) = handshake.await {
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

async fn handshake(
    acceptor: TlsAcceptor,
    socket: Socket,
    address: SocketAddr,
    patience: Duration,
    place: OwnedSemaphorePermit,
) -> Option<Connection> {
    match tokio::time::timeout(patience, acceptor.accept(socket)).await {
        Ok(Ok(mut stream)) => {
            stream.get_mut().1.set_buffer_limit(Some(SOCKET_BYTES));
            Some(Connection::new(stream, address, place, patience))
        }
        Ok(Err(error)) => {
            tracing::warn!(%address, %error, "TLS handshake refused");
            None
        }
        Err(_) => {
            tracing::warn!(%address, ?patience, "TLS handshake took too long and was given up");
            None
        }
    }
}
