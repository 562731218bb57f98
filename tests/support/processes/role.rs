use std::{
    io::{Write, stdout},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Subcommand;
use federated_client::{
    Backoff, FederatedClient, config::ParticipantConfig, event::ParticipantEvent, policy::SitePolicy,
};
use federated_server::{
    FederatedServer,
    config::{ChunkSize, CoordinatorConfig, LogFormat},
};

use crate::AddConstant;

/// What a participant's process prints when its update is durable in its own folder.
pub const TRAINED: &str = "trained";
/// What it prints when the update is durable at the coordinator.
pub const SUBMITTED: &str = "submitted";
/// Between two attempts to reach the coordinator.
const BACKOFF: Backoff = Backoff { min: Duration::from_millis(10), max: Duration::from_millis(50) };

/// What a process does. It ends when its standard input does: when its parent is no more, it is not left behind.
#[derive(Debug, Subcommand)]
pub enum Role {
    /// Serves, and prints where it listens.
    #[command(hide = true)]
    Coordinator {
        /// The coordinator's folder.
        folder: PathBuf,
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        /// Bytes of content in a message.
        #[arg(long)]
        chunk: usize,
    },
    /// Takes part in one job with a training that adds a constant, and prints how far it is.
    #[command(hide = true)]
    Participant {
        /// The folder of its bundle.
        bundle: PathBuf,
        /// What it adds to every value.
        #[arg(long, allow_negative_numbers = true)]
        value: f32,
    },
}

impl Role {
    /// Does it.
    ///
    /// # Errors
    /// When the configuration cannot be used, or the coordinator or participant fails.
    pub async fn play(self) -> Result<()> {
        match self {
            Self::Coordinator { folder, listen, chunk } => coordinator(&folder, listen, chunk).await,
            Self::Participant { bundle, value } => participant(&bundle, value).await,
        }
    }
}

async fn coordinator(folder: &Path, listen: SocketAddr, chunk: usize) -> Result<()> {
    let mut config = CoordinatorConfig::in_dir(folder)?;
    config.listen = listen;
    config.limits.chunk = ChunkSize::new(chunk).context("a size of chunks from 64 KiB to 4 MiB - 64 KiB")?;
    config.log.format = LogFormat::Json;
    federated_server::telemetry::install(&config.log)?;
    let server = FederatedServer::builder().config(config).shutdown(parent_is_gone()).build().await?;
    say(&server.local_addr()?.to_string());
    Ok(server.run().await?)
}

async fn participant(bundle: &Path, value: f32) -> Result<()> {
    let mut config = ParticipantConfig::load(bundle.join("participant.toml"))?;
    config.policy = SitePolicy { min_cohort: 1, ..config.policy };
    federated_client::telemetry::install(&config.log)?;
    let client = FederatedClient::builder()
        .config(config)
        .trainer(AddConstant::new(value, 1))
        .backoff(BACKOFF)
        .stop_after_jobs(1)
        .shutdown(parent_is_gone())
        .on_event(|event: &ParticipantEvent| match event {
            ParticipantEvent::Trained { .. } => say(TRAINED),
            ParticipantEvent::Submitted { .. } => say(SUBMITTED),
            _ => {}
        });
    Ok(client.build()?.run().await?)
}

/// A parent that no longer reads has no use for it.
fn say(line: &str) {
    let _unread = writeln!(stdout(), "{line}");
}

async fn parent_is_gone() {
    let (gone, told) = tokio::sync::oneshot::channel();
    // A thread of its own: the runtime would wait for a blocking read before it ends.
    std::thread::spawn(move || {
        let _closed = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ended = gone.send(());
    });
    let _ended = told.await;
}
