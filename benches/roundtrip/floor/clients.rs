use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::SystemTime,
};

use anyhow::{Context, Result};
use clap::Args;
use federated_server::identity::tls::client_config;
use rustls::{ClientConnection, pki_types::ServerName};

use super::stream::secure;
use crate::{child::wait_for_parent, cli::Options, folder::bundle_tls, measure::Usage};

/// What a process of the floor's other side is told.
#[derive(Debug, Args)]
pub(crate) struct FloorClients {
    /// Where the bundles are.
    folder: PathBuf,
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    first: u32,
    #[arg(long)]
    count: u32,
    #[arg(long)]
    params: usize,
    #[arg(long)]
    rounds: u32,
}

impl FloorClients {
    /// The arguments that [`FloorClients`] is parsed from.
    pub(super) fn arguments(
        folder: &Path,
        address: &str,
        (first, count): (u32, u32),
        options: &Options,
    ) -> Vec<String> {
        let mut arguments = vec!["floor-clients".to_owned(), folder.display().to_string()];
        for (name, value) in [
            ("--address", address.to_owned()),
            ("--first", first.to_string()),
            ("--count", count.to_string()),
            ("--params", options.params.to_string()),
            ("--rounds", options.rounds.to_string()),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        arguments
    }

    /// Sends back what comes, on each connection, and says at the end what was used.
    pub(crate) fn run(&self) -> Result<()> {
        thread::spawn(|| {
            wait_for_parent();
            std::process::exit(1);
        });
        thread::scope(|scope| {
            let numbers = self.first..self.first + self.count;
            let threads: Vec<_> = numbers.map(|number| scope.spawn(move || self.exchange(number))).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        println!("{}", serde_json::to_string(&Usage::of_this_process())?);
        Ok(())
    }

    fn exchange(&self, number: u32) -> Result<()> {
        let tls = client_config(&bundle_tls(&self.folder, number), SystemTime::now())?;
        let server = ServerName::from(self.address.ip());
        let socket = TcpStream::connect(self.address).context("the floor's server")?;
        let (mut stream, _) = secure(ClientConnection::new(tls, server)?, socket)?;
        let mut model = vec![0; self.params * 4];
        for _ in 0..self.rounds {
            stream.read_exact(&mut model)?;
            stream.write_all(&model)?;
            stream.flush()?;
        }
        Ok(())
    }
}
