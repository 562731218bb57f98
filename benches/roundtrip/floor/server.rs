use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Barrier, Mutex, PoisonError},
    thread,
    time::{Instant, SystemTime},
};

use anyhow::{Context, Result};
use clap::Args;
use federated_server::{config::CoordinatorConfig, identity::tls::server_config};
use rustls::{ServerConfig, ServerConnection};

use super::{FloorFigures, stream::secure};
use crate::{
    child::wait_for_parent,
    cli::Options,
    measure::{Moment, ServerFigures, Usage},
    model::initial_values,
};

/// How many bytes are read before they are copied to where they stay.
const PIECE: usize = 64 << 10;

/// What the floor's server is told.
#[derive(Debug, Args)]
pub(crate) struct FloorServer {
    /// The folder with the server's certificate.
    folder: PathBuf,
    #[arg(long)]
    clients: usize,
    #[arg(long)]
    params: usize,
    #[arg(long)]
    rounds: u32,
    #[arg(long)]
    seed: u64,
}

impl FloorServer {
    /// The arguments that [`FloorServer`] is parsed from.
    pub(super) fn arguments(folder: &Path, options: &Options) -> Vec<String> {
        let Options { clients, params, rounds, seed, .. } = options;
        let mut arguments = vec!["floor-server".to_owned(), folder.display().to_string()];
        for (name, value) in [
            ("--clients", clients.to_string()),
            ("--params", params.to_string()),
            ("--rounds", rounds.to_string()),
            ("--seed", seed.to_string()),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        arguments
    }

    /// The server's process: says where it listens, and at the end when the rounds ended and what it used.
    pub(crate) fn run(self) -> Result<()> {
        let config = CoordinatorConfig::in_dir(&self.folder)?;
        let tls = server_config(&config.tls, SystemTime::now())?;
        let model: Vec<u8> = initial_values(self.seed).take(self.params).flat_map(f32::to_le_bytes).collect();
        let listener = TcpListener::bind(config.listen)?;
        println!("{}", listener.local_addr()?);
        thread::spawn(|| {
            wait_for_parent();
            std::process::exit(1);
        });
        let said = self.serve(&listener, &tls, &model)?;
        println!("{}", serde_json::to_string(&said)?);
        Ok(())
    }

    fn serve(&self, listener: &TcpListener, tls: &Arc<ServerConfig>, model: &[u8]) -> Result<FloorFigures> {
        let (rounds, pace) = (self.rounds, Pace::new(self.clients));
        let served = thread::scope(|scope| {
            let mut connections = Vec::with_capacity(self.clients);
            for _ in 0..self.clients {
                let (socket, tls, pace) = (listener.accept()?.0, Arc::clone(tls), &pace);
                connections.push(scope.spawn(move || {
                    exchange(socket, tls, model, rounds, pace).unwrap_or_else(|error| {
                        // The others would wait for this one for ever.
                        eprintln!("error: {error:#}");
                        std::process::exit(1)
                    })
                }));
            }
            let join = |connection: thread::ScopedJoinHandle<'_, _>| connection.join().ok();
            anyhow::Ok(connections.into_iter().map(join).collect::<Option<Vec<_>>>())
        })?;
        let served = served.context("a thread of the server panicked")?;
        let (cipher, _) = served.first().cloned().context("there is a connection")?;
        let mut ends = pace.moments();
        let begin = ends.remove(0);
        Ok(FloorFigures {
            round1_s: ends.first().context("there is a round")?.at_s - begin.at_s,
            cipher,
            intact: served.iter().all(|(_, intact)| *intact),
            figures: ServerFigures { ends, usage: Usage::of_this_process() },
        })
    }
}

/// One connection: gives its cipher suite, and whether what came back last is what was sent.
fn exchange(
    socket: TcpStream,
    tls: Arc<ServerConfig>,
    model: &[u8],
    rounds: u32,
    pace: &Pace,
) -> Result<(String, bool)> {
    let (mut stream, cipher) = secure(ServerConnection::new(tls)?, socket)?;
    let (mut own, mut piece) = (vec![0; model.len()], vec![0; PIECE]);
    pace.wait();
    for _ in 0..rounds {
        stream.write_all(model)?;
        stream.flush()?;
        for place in own.chunks_mut(PIECE) {
            let piece = &mut piece[..place.len()];
            stream.read_exact(piece)?;
            place.copy_from_slice(piece);
        }
        pace.wait();
    }
    Ok((cipher, own == model))
}

/// Keeps all connections in the same round, and stamps when the first begins and each ends.
struct Pace {
    barrier: Barrier,
    start: Instant,
    moments: Mutex<Vec<Moment>>,
}

impl Pace {
    fn new(connections: usize) -> Self {
        Self { barrier: Barrier::new(connections), start: Instant::now(), moments: Mutex::default() }
    }

    fn wait(&self) {
        if self.barrier.wait().is_leader() {
            let moment = Moment::since(self.start);
            self.moments.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
        }
    }

    fn moments(self) -> Vec<Moment> {
        self.moments.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
