use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the system may hold of each connection on either side. A relay that held much would look like a line on which
/// much is under way.
const SOCKET_BYTES: u32 = 64 << 10;
/// How much is passed on at a time.
const STEP: usize = 16 << 10;

/// Stands between participants and a coordinator and counts the bytes that participants put on the wire, as TLS sends
/// them.
///
/// It is a line, not a store: what a participant sent before it was killed still arrives, and when the coordinator is
/// gone the participant is told so at once.
#[derive(Debug)]
pub struct ByteRelay {
    address: SocketAddr,
    counters: Arc<Counters>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Counters {
    sent: watch::Sender<u64>,
    open: watch::Sender<usize>,
    limit: watch::Sender<u64>,
}

impl Default for Counters {
    fn default() -> Self {
        Self { sent: watch::Sender::new(0), open: watch::Sender::new(0), limit: watch::Sender::new(u64::MAX) }
    }
}

impl Counters {
    /// How many bytes may pass now; waits until it is at least one.
    async fn leave(&self) -> usize {
        let mut limit = self.limit.subscribe();
        let left = |limit: &u64| limit.saturating_sub(*self.sent.borrow());
        let left = limit.wait_for(|limit| left(limit) > 0).await.map_or(0, |limit| left(&limit));
        usize::try_from(left).unwrap_or(usize::MAX)
    }
}

impl ByteRelay {
    /// Passes connections on to `upstream`, which need not listen all the time.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = listen().context("a port for the relay")?;
        let (address, counters) = (listener.local_addr()?, Arc::new(Counters::default()));
        let (stop, counting) = (CancellationToken::new(), Arc::clone(&counters));
        let stopped = stop.clone();
        tokio::spawn(async move {
            let accept = async {
                while let Ok((stream, _)) = listener.accept().await {
                    let (counters, stopped) = (Arc::clone(&counting), stopped.clone());
                    counters.open.send_modify(|open| *open += 1);
                    tokio::spawn(async move {
                        let _ended = stopped.run_until_cancelled(pass(stream, upstream, &counters)).await;
                        counters.open.send_modify(|open| *open -= 1);
                    });
                }
            };
            stopped.run_until_cancelled(accept).await;
        });
        Ok(Self { address, counters, _stop: stop.drop_guard() })
    }

    /// The coordinator's address as the configuration of a participant behind the relay has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// How many bytes participants have sent, on all connections together.
    #[must_use]
    pub fn sent(&self) -> u64 {
        *self.counters.sent.borrow()
    }

    /// Waits until they have sent so many, and gives how many it is.
    pub async fn has_sent(&self, bytes: u64) -> u64 {
        let mut sent = self.counters.sent.subscribe();
        let reached = sent.wait_for(|sent| *sent >= bytes).await.map(|sent| *sent);
        // The sender lives as long as this value.
        reached.unwrap_or(bytes)
    }

    /// Lets nothing of participants pass beyond so many bytes in all; the connections stay open. `u64::MAX` lets all pass.
    pub fn hold_at(&self, bytes: u64) {
        self.counters.limit.send_replace(bytes);
    }

    /// Waits until no connection is open: all that was sent has been counted.
    pub async fn is_idle(&self) {
        let mut open = self.counters.open.subscribe();
        let _closed = open.wait_for(|open| *open == 0).await;
    }
}

/// What is accepted has the sizes of the socket that listens.
fn listen() -> std::io::Result<TcpListener> {
    let socket = socket()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    socket.listen(64)
}

fn socket() -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SOCKET_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BYTES)?;
    Ok(socket)
}

/// Ends when the coordinator's side does.
async fn pass(client: TcpStream, upstream: SocketAddr, counters: &Counters) -> std::io::Result<()> {
    // A coordinator that is not there looks to the client like a connection that breaks.
    let server = socket()?.connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let up = async {
        // An error of the client is its end; one of the server is the other direction's end too.
        let _ended = count(from_client, to_server, counters).await;
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = down(from_server, to_client) => Ok(()),
        () = up => Ok(()),
    }
}

/// From the participant to the coordinator. What the participant sent arrives also when it is gone.
async fn count(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counters: &Counters) -> std::io::Result<()> {
    let mut buffer = vec![0; STEP];
    loop {
        let most = counters.leave().await.min(buffer.len());
        let Ok(read @ 1..) = from.read(&mut buffer[..most]).await else { break };
        counters.sent.send_modify(|sent| *sent += read as u64);
        to.write_all(&buffer[..read]).await?;
    }
    to.shutdown().await
}

/// From the coordinator to the participant, or to nowhere when it is gone.
async fn down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _either = copy(&mut from, &mut to).await;
    // The line ends only with the coordinator's side. Were it cut here, what is under way would not arrive.
    let _ended = copy(&mut from, &mut sink()).await;
}
