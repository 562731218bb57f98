//! Kills the coordinator and participants of a real federation at random moments, and shows that nothing is lost.
//!
//! `cargo run --release -p federated-tests --bin crash-test -- --kills 200 --seed 1 --store sqlite`
//!
//! A coordinator and four participants are processes of their own, over mutual TLS on loopback. A job is run to its end
//! undisturbed. Then it is run again, as often as is needed for so many kills: after a random time, from nothing to what a
//! round takes, the coordinator (every other time) or a participant is killed (SIGKILL) and started again at once. Nobody
//! waits until it is ready, so that kills hit processes that start, too.
//!
//! A receipt is lost when a participant has one for an update that is not among its round's contributions. Each round is a
//! bit of the model's values, so that the final model shows what counted twice, and what did not count.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, ValueEnum};
use federated_tests::{
    Postgres,
    crash::CrashTest,
    processes::{Program, Role, Serving},
};

/// Kills a coordinator and its participants at random moments, and shows that nothing is lost.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

/// Where the coordinator keeps its journal.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Store {
    /// In a file in its folder.
    #[default]
    Sqlite,
    /// In a database server that is started for it.
    Postgres,
}

#[derive(Debug, Args)]
struct Options {
    /// How many processes are killed in all.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// What the moments and victims follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the coordinator keeps its journal.
    #[arg(long, value_enum, default_value_t)]
    store: Store,
    /// Rounds of each job.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Values of the model; an upload has a chunk for every 65,536.
    #[arg(long, default_value_t = 200_000)]
    parameters: usize,
    /// How often a participant reads the model in each training.
    #[arg(long, default_value_t = 100)]
    work: u32,
    /// Where the temporary folder with certificates and states is made [default: the system's].
    #[arg(long)]
    dir: Option<PathBuf>,
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
    let Options { kills, seed, store, rounds, parameters, work, dir } = options;
    let server = match store {
        Store::Sqlite => None,
        Store::Postgres => {
            Some(Postgres::start().await?.context("PostgreSQL is not installed: no `initdb`")?)
        }
    };
    let serving = Serving::default().journal(server.as_ref().map(Postgres::url));
    let test =
        CrashTest { program: Program::this()?, dir, serving, kills, seed, rounds, entries: parameters, work };
    let verdict = tokio::select! {
        verdict = test.run() => verdict?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted");
        }
    };
    for (scene, count) in &verdict.scenes {
        println!("killed {count:>4} x {scene}");
    }
    for refusal in &verdict.refusals {
        println!("refused: {refusal}");
    }
    println!("receipts {}", verdict.receipts);
    println!("{verdict}");
    if verdict.is_good() { Ok(()) } else { bail!("something was lost, counted twice or changed") }
}
