//! Kills the active one of two coordinators, and shows how soon the passive one commits the round.
//!
//! `cargo run --release -p federated-tests --bin failover-test`
//!
//! Two coordinators share a state folder and a PostgreSQL database that is started for them; the second stands by. When a
//! participant's update has its receipt and the other's is still to come, the active one is killed (SIGKILL). The
//! passive one takes over when the lease has run out, the participants find it at the same address, and the round is
//! committed with both updates. The time from the kill to that is printed.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser};
use federated_tests::{
    Postgres,
    failover::Failover,
    processes::{Program, Role},
};

/// Kills the active one of two coordinators, and shows how soon the passive one commits the round.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
struct Options {
    /// How long the lease is, in milliseconds: the active one is given up after it.
    #[arg(long, default_value_t = 5_000)]
    lease_ms: u64,
    /// How often it is done.
    #[arg(long, default_value_t = 5)]
    repeat: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { role, options } = Cli::parse();
    let done = match role {
        Some(role) => role.play().await,
        None => show(options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn show(options: Options) -> Result<()> {
    for _ in 0..options.repeat {
        // One of its own: participants of the same names would be told of the jobs before.
        let server = Postgres::start().await?.context("PostgreSQL is not installed: no `initdb`")?;
        let lease = std::time::Duration::from_millis(options.lease_ms);
        let done = Failover { program: Program::this()?, journal: server.url(), lease }.run().await?;
        println!("{done}");
    }
    Ok(())
}
