use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What happens to a connection. Bytes are counted as TLS sends them, from the participant to the coordinator unless
/// it says otherwise.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// It breaks after so many bytes.
    CutAfter(u64),
    /// It breaks after so many bytes from the coordinator to the participant.
    CutDownAfter(u64),
    /// It stays open, and nothing passes any more after so many bytes.
    StallAfter(u64),
    /// Each piece is held back for so long.
    Delay(Duration),
}

/// Stands between participants and a coordinator, and breaks the line as it is told.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    cut: watch::Sender<()>,
    connections: watch::Receiver<usize>,
    _stop: DropGuard,
}

impl FaultProxy {
    /// Passes connections on to `upstream`. The first connection has the first fault, and so on; later ones have none.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start(upstream: SocketAddr, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self::start_at("127.0.0.1:0", upstream, faults).await
    }

    /// The same on an address of the test's choice.
    ///
    /// # Panics
    /// When it cannot be listened on.
    pub async fn start_at(
        address: &str,
        upstream: SocketAddr,
        faults: impl IntoIterator<Item = Fault>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let faults = Arc::new(Mutex::new(faults.into_iter().collect::<VecDeque<_>>()));
        let (cut, cuts) = watch::channel(());
        let (count, connections) = watch::channel(0);
        let stop = CancellationToken::new();
        let (queue, stopped) = (Arc::clone(&faults), stop.clone());
        tokio::spawn(async move {
            let accept = async {
                while let Ok((stream, _)) = listener.accept().await {
                    let fault = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    count.send_modify(|count| *count += 1);
                    let (mut cuts, stopped) = (cuts.clone(), stopped.clone());
                    cuts.mark_unchanged();
                    tokio::spawn(async move {
                        tokio::select! {
                            () = pass(stream, upstream, fault.unwrap_or(Fault::None)) => {}
                            _ = cuts.changed() => {}
                            () = stopped.cancelled() => {}
                        }
                    });
                }
            };
            stopped.run_until_cancelled(accept).await;
        });
        Self { address, faults, cut, connections, _stop: stop.drop_guard() }
    }

    /// Where to connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a participant's configuration has it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What happens to the next connection that has no fault yet.
    pub fn next(&self, fault: Fault) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
    }

    /// Breaks every connection that is open now.
    pub fn cut(&self) {
        self.cut.send_replace(());
    }

    /// How many connections there have been; it can be waited for.
    #[must_use]
    pub fn connections(&self) -> watch::Receiver<usize> {
        self.connections.clone()
    }
}

async fn pass(client: TcpStream, upstream: SocketAddr, fault: Fault) {
    // A coordinator that is not there looks to the client like a connection that breaks.
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    // Pieces must not wait for one another: the counts are about bytes, not about time.
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (up, down) = match fault {
        Fault::CutDownAfter(limit) => (Fault::None, Fault::CutAfter(limit)),
        fault => (fault, Fault::None),
    };
    tokio::select! {
        () = copy(from_client, to_server, up) => {}
        () = copy(from_server, to_client, down) => {}
    }
}

/// Passes the bytes of one direction on; returns when the connection shall end.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault) {
    let limit = match fault {
        Fault::CutAfter(limit) | Fault::StallAfter(limit) => limit,
        Fault::None | Fault::Delay(_) | Fault::CutDownAfter(_) => u64::MAX,
    };
    let (mut passed, mut buffer) = (0_u64, vec![0; 16 << 10]);
    while passed < limit {
        let wanted = usize::try_from(limit - passed).unwrap_or(usize::MAX).min(buffer.len());
        let read = match from.read(&mut buffer[..wanted]).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if let Fault::Delay(delay) = fault {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        passed += read as u64;
    }
    if matches!(fault, Fault::StallAfter(_)) {
        std::future::pending().await
    }
}
