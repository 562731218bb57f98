//! The floor: the bytes of a federation over plain rustls sockets and a memory copy, with nothing else.
//!
//! Every round, a server writes as many bytes as the model has to each of N connections, from one buffer that all share;
//! the other side reads them all and writes as many back; the server reads them and copies them into memory of its own.
//! No disk, no digest, no gRPC, nothing is added up. The connections are TLS 1.3 with certificates on both sides, made
//! and configured as the coordinator's; each side has a blocking socket and a thread for each.
//!
//! Read in this order: `stream` is a connection, `server` and `clients` are the two sides.

mod clients;
mod server;
mod stream;

use anyhow::{Context, Result};
use futures::future::try_join;
use serde::{Deserialize, Serialize};

use crate::{
    child::{Child, all_ended, reports},
    cli::Options,
    folder::RunFolder,
    measure::{ServerFigures, Usage},
};

pub(crate) use clients::FloorClients;
pub(crate) use server::FloorServer;

/// What one run of the floor was like.
#[derive(Clone, Debug)]
pub(crate) struct Floor {
    /// What the server says.
    pub(crate) server: FloorFigures,
    /// The processes of the other side.
    pub(crate) clients: Vec<Usage>,
}

/// What the floor's server says at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FloorFigures {
    /// Ends of rounds, and what was used.
    pub(crate) figures: ServerFigures,
    /// How long the first round took, in seconds.
    pub(crate) round1_s: f64,
    /// The cipher suite of the connections.
    pub(crate) cipher: String,
    /// Whether everyone sent back what it was sent.
    pub(crate) intact: bool,
}

/// Runs the floor from its certificates to its last round.
pub(crate) async fn run(options: &Options) -> Result<Floor> {
    let folder = RunFolder::make(options.dir.as_deref())?;
    let arguments = FloorServer::arguments(&folder.coordinator(), options);
    let mut server = Child::start("floor-server", &arguments, folder.path())?;
    let address = server.line().await?;
    folder.enroll(options.clients.get(), &address)?;
    let start = |share: (u32, u32)| {
        let arguments = FloorClients::arguments(folder.path(), &address, share, options);
        Child::start(&format!("floor-clients-{}", share.0), &arguments, folder.path())
    };
    let mut children = options.shares().into_iter().map(start).collect::<Result<Vec<_>>>()?;
    let (said, clients) = try_join(server.line(), reports(&mut children)).await?;
    let said = serde_json::from_str(&said).context("what the floor's server says")?;
    all_ended(children).await?;
    server.ended().await?;
    Ok(Floor { server: said, clients })
}
