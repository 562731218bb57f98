use std::path::Path;

use anyhow::Result;
use federated_server::{FederatedServer, config::CoordinatorConfig, telemetry};

use super::parent_is_done;

/// The coordinator's process: serves the folder that `init` made and says where it listens.
pub(crate) async fn run(folder: &Path) -> Result<()> {
    let config = CoordinatorConfig::in_dir(folder)?;
    telemetry::install(&config.log)?;
    let server = FederatedServer::builder().config(config).shutdown(parent_is_done()).build().await?;
    println!("{}", server.local_addr()?);
    Ok(server.run().await?)
}
