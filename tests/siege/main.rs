//! Lays siege to a coordinator, and shows that rounds go on.
//!
//! `cargo run --release -p federated-tests --bin siege-test`
//!
//! A coordinator and four participants are processes of their own, over mutual TLS on loopback; the coordinator may have
//! 256 files open. A job is run in calm. Then 1,000 connections are opened and held: a fourth says nothing, a fourth greets
//! a byte at a time, a fourth stops in the middle of the TLS handshake, a fourth finishes it with a valid certificate and
//! then says nothing; whoever is cut comes again after a second. Beside them 100,000 connections are opened and reset.
//! Jobs run until those are done; then a participant is killed and must come back, and an operator must get in.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Parser};
use federated_tests::{
    processes::{Program, Role},
    siege::Siege,
};

/// Lays siege to a coordinator with few files, and shows that rounds go on.
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
    /// Connections that are held open.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
    /// Connections that are opened and reset.
    #[arg(long, default_value_t = 100_000)]
    resets: u64,
    /// How many files the coordinator may have open.
    #[arg(long, default_value_t = 256)]
    open_files: u32,
    /// Values of the model.
    #[arg(long, default_value_t = 200_000)]
    parameters: usize,
    /// How often a participant reads the model in each training.
    #[arg(long, default_value_t = 100)]
    work: u32,
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
    let Options { connections, resets, open_files, parameters, work } = options;
    let siege =
        Siege { program: Program::this()?, open_files, connections, resets, entries: parameters, work };
    let endured = tokio::select! {
        endured = siege.run() => endured?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted");
        }
    };
    println!("{endured}");
    if endured.is_good() { Ok(()) } else { bail!("the siege cost too much") }
}
