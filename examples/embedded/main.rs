//! A participant inside someone's axum service, and a coordinator inside another: `cargo run --example embedded`.
//!
//! `participant.rs` is all that an application writes to take part. `service.rs` is the application, `coordinator.rs`
//! embeds a coordinator in the same way. Here two hospitals and the coordinator share one process for the show.

mod coordinator;
mod participant;
mod service;

use std::io::Write;

use anyhow::Context;
use service::Records;
use tokio::{net::TcpListener, task::JoinSet};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // RUST_LOG=info shows what both sides do.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let dir = tempfile::tempdir()?;
    let hospitals = [
        ("north", vec![(2.0, 3.1), (4.0, 5.0), (6.0, 6.9), (8.0, 9.2)]),
        ("south", vec![(3.0, 4.0), (5.0, 6.1), (7.0, 7.9)]),
    ];
    let names = hospitals.iter().map(|(name, _)| name.parse()).collect::<Result<Vec<_>, _>>()?;
    let operator = coordinator::start(dir.path(), &names).await?;
    let (mut taking_part, mut serving) = (JoinSet::new(), JoinSet::new());
    for (name, stays) in hospitals {
        let (records, bundle) = (Records::new(stays), dir.path().join(name));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{name}: http://{}/federation", listener.local_addr()?);
        serving.spawn(axum::serve(listener, service::router(records.clone())).into_future());
        taking_part.spawn(async move { participant::take_part(&bundle, records).await });
    }
    let job = coordinator::start_job(&operator).await?;
    while let Some(ended) = taking_part.join_next().await {
        ended?.context("a participant stopped early")?;
    }
    println!("{job} has ended; the services go on until they are interrupted");
    std::io::stdout().flush()?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
