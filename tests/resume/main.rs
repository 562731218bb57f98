//! Kills a participant, and then a coordinator, when half of an update has been sent, and shows that both go on from the
//! last durable byte.
//!
//! `cargo run --release -p federated-tests --bin resume-test -- --mb 400`
//!
//! A coordinator and its participant are processes of their own, over mutual TLS on loopback; between them stands a
//! relay that counts the bytes that the participant puts on the wire. Three jobs of one round: one is left alone, in the
//! second the participant is killed (SIGKILL) and started again, in the third the coordinator. Training adds a constant,
//! in numbers that f32 holds exactly, so what must come out is known to the bit.
//!
//! What was sent twice is what the participant put on the wire in the disturbed job beyond what it did in the one that
//! was left alone: content as TLS and HTTP/2 carry it, with the second handshake, and give or take a few KB by which any
//! two jobs differ. Bytes count when they have left the participant, whether or not they ever became durable.
//!
//! Read in this order: `model` is what goes round, `job` one job with or without a kill, `report` what is said about
//! all three and when it is good enough.

mod job;
mod model;
mod report;

use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser};
use federated_server::config::ChunkSize;
use federated_tests::processes::{Cluster, Program, Role, Serving};

use crate::{
    job::{Bench, Kill},
    model::Model,
    report::Report,
};

/// Kills a participant and a coordinator in the middle of an upload, and shows how they go on.
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
    /// Size of the update, in units of 1,000,000 bytes.
    #[arg(long, default_value = "400", value_name = "MB")]
    mb: NonZeroU64,
    /// Content in a message, in KiB.
    #[arg(long, default_value_t = ChunkSize::DEFAULT.bytes() >> 10, value_name = "KIB")]
    chunk_kib: usize,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
    /// Where the temporary folder with certificates and states is made [default: the system's].
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { role, options } = Cli::parse();
    let done = match role {
        Some(role) => role.play().await,
        None => show(&options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn show(options: &Options) -> Result<()> {
    let chunk = ChunkSize::new(options.chunk_kib << 10).context("--chunk-kib: expected 64 to 4032")?;
    let model = Model::of_bytes(options.mb.get() * 1_000_000)?;
    let report = tokio::select! {
        report = run(model, chunk, options.dir.as_deref()) => report?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted");
        }
    };
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    if report.ok() { Ok(()) } else { bail!("an upload did not go on as it should") }
}

async fn run(model: Model, chunk: ChunkSize, dir: Option<&Path>) -> Result<Report> {
    let mut bench =
        Bench::new(Cluster::start(Program::this()?, dir, Serving::default().chunk(chunk)).await?, model)?;
    let undisturbed = bench.run(Kill::Nobody).await?;
    let participant = bench.run(Kill::Participant).await?;
    let coordinator = bench.run(Kill::Coordinator).await?;
    Report::new(bench.model().bytes(), chunk, &undisturbed, &participant, &coordinator)
}
