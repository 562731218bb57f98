//! What the subcommands of an operator share: the connection.

use std::path::PathBuf;

use clap::Args;
use federated_server::{config::CoordinatorConfig, operator::OperatorClient};

/// Which coordinator to talk to.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The folder that `init` made; its `[operator]` table says where the coordinator is.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

impl Connection {
    pub(super) async fn open(&self) -> anyhow::Result<OperatorClient> {
        let config = CoordinatorConfig::in_dir(&self.dir)?;
        Ok(OperatorClient::connect(&config.operator).await?)
    }
}
