use std::{io::stderr, path::Path};

use anyhow::Result;
use federated_server::{FederatedServer, config::CoordinatorConfig};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    child::parent_is_done,
    folder::NO_LIMIT,
    measure::{ServerFigures, Usage},
    round_clock::RoundClock,
};

/// The coordinator's process: says where it listens, serves, and says at the end when the rounds ended and what it used.
///
/// It logs what the shipped program logs. Only the size of models is not limited.
pub(crate) async fn run(folder: &Path) -> Result<()> {
    let mut config = CoordinatorConfig::in_dir(folder)?;
    config.limits.max_model = NO_LIMIT;
    let clock = RoundClock::start();
    tracing_subscriber::registry()
        .with(EnvFilter::new(config.log.level.as_str()))
        .with(fmt::layer().with_writer(stderr).with_ansi(false))
        .with(clock.clone())
        .try_init()?;
    let server = FederatedServer::builder().config(config).shutdown(parent_is_done()).build().await?;
    println!("{}", server.local_addr()?);
    server.run().await?;
    let figures = ServerFigures { ends: clock.ends(), usage: Usage::of_this_process() };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}
