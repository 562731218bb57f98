use std::path::PathBuf;

use clap::Args;
use federated_server::{FederatedServer, config::CoordinatorConfig, telemetry};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the coordinator until it is interrupted; unfinished jobs go on where they were.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The folder that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = CoordinatorConfig::in_dir(&self.dir)?;
        telemetry::install(&config.log)?;
        super::runtime()?.block_on(async {
            let (mut interrupt, mut terminate) =
                (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let shutdown = async move {
                futures::future::select(Box::pin(interrupt.recv()), Box::pin(terminate.recv())).await;
            };
            let server = FederatedServer::builder().config(config).shutdown(shutdown).build().await?;
            Ok(server.run().await?)
        })
    }
}
