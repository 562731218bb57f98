use std::{
    io::{Write, stdout},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use clap::Subcommand;
use federated_client::{
    Backoff, FederatedClient, FederatedClientBuilder, config::ParticipantConfig, event::ParticipantEvent,
    policy::SitePolicy,
};
use federated_server::{FederatedServer, config::CoordinatorConfig};

use super::Serving;
use crate::{
    AddConstant,
    crash::{Share, Tally, Word},
};

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
        /// How it serves.
        #[command(flatten)]
        serving: Serving,
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
    /// Takes part in every job with a training that marks its round, and prints a [`Word`] of every step.
    #[command(hide = true)]
    Tally {
        /// The folder of its bundle.
        bundle: PathBuf,
        /// Its training.
        #[command(flatten)]
        share: Share,
    },
}

impl Role {
    /// Does it.
    ///
    /// # Errors
    /// When the configuration cannot be used, or the coordinator or participant fails.
    pub async fn play(self) -> Result<()> {
        match self {
            Self::Coordinator { folder, listen, serving } => {
                coordinator(serving.config(&folder, listen)?).await
            }
            Self::Participant { bundle, value } => participant(&bundle, value).await,
            Self::Tally { bundle, share } => tally(&bundle, share).await,
        }
    }
}

async fn coordinator(config: CoordinatorConfig) -> Result<()> {
    federated_server::telemetry::install(&config.log)?;
    let server = FederatedServer::builder().config(config).shutdown(parent_is_gone()).build().await?;
    say(&server.local_addr()?.to_string());
    Ok(server.run().await?)
}

/// A participant that any job suits, and whose parent may go.
fn client(bundle: &Path) -> Result<FederatedClientBuilder> {
    let mut config = ParticipantConfig::load(bundle.join("participant.toml"))?;
    config.policy = SitePolicy { min_cohort: 1, ..config.policy };
    federated_client::telemetry::install(&config.log)?;
    Ok(FederatedClient::builder().config(config).backoff(BACKOFF).shutdown(parent_is_gone()))
}

async fn tally(bundle: &Path, share: Share) -> Result<()> {
    let trainer = Tally::new(share, |task| say(&Word::Began(task.clone()).to_string()));
    let client = client(bundle)?.trainer(trainer).on_event(|event: &ParticipantEvent| {
        if let Some(word) = Word::of(event) {
            say(&word.to_string());
        }
    });
    Ok(client.build()?.run().await?)
}

async fn participant(bundle: &Path, value: f32) -> Result<()> {
    let client = client(bundle)?.trainer(AddConstant::new(value, 1)).stop_after_jobs(1).on_event(
        |event: &ParticipantEvent| match event {
            ParticipantEvent::Trained { .. } => say(TRAINED),
            ParticipantEvent::Submitted { .. } => say(SUBMITTED),
            _ => {}
        },
    );
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
