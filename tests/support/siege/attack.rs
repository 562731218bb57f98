use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
};

use crate::ClientTls;

/// Between two bytes of a connection that crawls.
const CRAWL: Duration = Duration::from_millis(500);
/// Before a connection that was cut is made again.
const AGAIN: Duration = Duration::from_secs(1);
/// Resets at one time.
const AT_ONCE: usize = 4;

/// How a connection is held open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loris {
    /// It says nothing.
    Silent,
    /// It greets byte by byte.
    Crawling,
    /// It greets, and then says nothing.
    Halting,
    /// It has a valid certificate, finishes TLS, and then says nothing.
    Certified,
}

/// Peers that hold connections open, and others that reset theirs. They end with this value.
#[derive(Debug)]
pub(super) struct Attack {
    tasks: JoinSet<()>,
    counters: Arc<Counters>,
    resets: u64,
}

#[derive(Debug, Default)]
struct Counters {
    /// Of those that are held open: how many have been connected at least once.
    in_place: watch::Sender<usize>,
    opened: AtomicU64,
    resets: watch::Sender<u64>,
}

impl Attack {
    /// Opens so many connections and keeps them, a fourth of each kind.
    pub(super) fn begin(address: SocketAddr, certified: &[ClientTls], connections: usize) -> Result<Self> {
        let counters = Arc::<Counters>::default();
        let mut tasks = JoinSet::new();
        let kinds = [Loris::Silent, Loris::Crawling, Loris::Halting, Loris::Certified];
        for (number, kind) in kinds.into_iter().cycle().take(connections).enumerate() {
            let Some(tls) = certified.get(number / kinds.len() % certified.len().max(1)) else {
                bail!("expected certificates for the connections that finish TLS, found none");
            };
            tasks.spawn(hold(kind, address, tls.clone(), Arc::clone(&counters)));
        }
        Ok(Self { tasks, counters, resets: 0 })
    }

    /// Waits until all connections have been open.
    pub(super) async fn in_place(&self, connections: usize) {
        let mut in_place = self.counters.in_place.subscribe();
        // The sender lives as long as this value.
        let _all = in_place.wait_for(|now| *now >= connections).await;
    }

    /// Begins to open connections and reset them, so many in all.
    pub(super) fn reset(&mut self, address: SocketAddr, hello: &[u8], count: u64) {
        self.resets = count;
        for _ in 0..AT_ONCE {
            self.tasks.spawn(reset(address, hello.to_vec(), count, Arc::clone(&self.counters)));
        }
    }

    /// Whether all of them are done.
    pub(super) fn is_over(&self) -> bool {
        self.resets_made() >= self.resets
    }

    /// How many there were.
    pub(super) fn resets_made(&self) -> u64 {
        *self.counters.resets.borrow()
    }

    /// How many connections were opened to be held, those that were opened again among them.
    pub(super) fn opened(&self) -> u64 {
        self.counters.opened.load(Ordering::Relaxed)
    }
}

async fn hold(kind: Loris, address: SocketAddr, tls: ClientTls, counters: Arc<Counters>) {
    let mut first = true;
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            counters.opened.fetch_add(1, Ordering::Relaxed);
            if std::mem::take(&mut first) {
                counters.in_place.send_modify(|now| *now += 1);
            }
            // However it ends, it is made again.
            let _cut = once(kind, stream, address, &tls).await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Until the other side cuts it.
async fn once(
    kind: Loris,
    mut stream: TcpStream,
    address: SocketAddr,
    tls: &ClientTls,
) -> std::io::Result<()> {
    match kind {
        Loris::Silent => drain(stream).await,
        Loris::Crawling => {
            for byte in tls.hello(address) {
                let cut = tokio::time::timeout(CRAWL, stream.read_u8()).await;
                if cut.is_ok() {
                    return Ok(());
                }
                stream.write_u8(byte).await?;
            }
            drain(stream).await
        }
        Loris::Halting => {
            stream.write_all(&tls.hello(address)).await?;
            drain(stream).await
        }
        Loris::Certified => drain(tls.secure(stream, address).await?).await,
    }
}

async fn drain(mut stream: impl AsyncRead + Unpin) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

/// Every other one greets before it is reset.
async fn reset(address: SocketAddr, hello: Vec<u8>, count: u64, counters: Arc<Counters>) {
    while *counters.resets.borrow() < count {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            tokio::task::yield_now().await;
            continue;
        };
        if counters.resets.borrow().is_multiple_of(2) {
            let _taken = stream.write_all(&hello).await;
        }
        if stream.set_zero_linger().is_ok() {
            drop(stream);
            counters.resets.send_modify(|made| *made += 1);
        }
    }
}
