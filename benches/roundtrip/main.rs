//! How long a round takes, and what it costs: a real coordinator and real participants over mutual TLS on loopback,
//! whose training only adds a constant.
//!
//! `cargo run --release -p federated-benches --bin roundtrip -- --clients 16 --params 1663370 --rounds 8 --json`
//!
//! What `--json` prints are the fields of the harness that measures the other frameworks, so that lines can be joined;
//! `report` says what each is. A round's time is from the moment at which one round's model is durable and the
//! coordinator logs the round's end, to the same moment of the next round, on a monotonic clock in the coordinator's
//! process. So it holds everything: tasks, downloads, training, uploads, the aggregate, and every write to disk. The bytes
//! on the wire are read from the loopback's counter at the same moments. Medians leave out the first round, which warms
//! up.
//!
//! Read in this order: `cli` is what can be asked for, `compression` one part of it; `repetition` runs a federation, the
//! floor or both, once. A federation: `federation` starts the program again as `child` processes, which run
//! `coordinator` and `participants`, and runs the `job`; `round_clock` stamps the rounds; `model` knows what must come
//! out. The floor, the same bytes over plain rustls: `floor`. What is shown: `measure` is what processes report, `report`
//! one line of JSON, `table` the same for people.

mod child;
mod cli;
mod compression;
mod coordinator;
mod federation;
mod floor;
mod folder;
mod job;
mod measure;
mod model;
mod participants;
mod repetition;
mod report;
mod round_clock;
mod table;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;

use crate::{
    cli::{Cli, Options, Role},
    report::{Line, Summary},
};

fn main() -> ExitCode {
    let Cli { role, options } = Cli::parse();
    let done = match role {
        Some(role) => play(role),
        None => measure(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A child's part. The floor needs no runtime: its sockets block.
fn play(role: Role) -> Result<()> {
    match role {
        Role::Coordinator { folder } => runtime()?.block_on(coordinator::run(&folder)),
        Role::Participants(participants) => runtime()?.block_on(participants.run()),
        Role::FloorServer(server) => server.run(),
        Role::FloorClients(clients) => clients.run(),
    }
}

/// The runtime of the shipped programs: a thread a core.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

fn measure(options: &Options) -> Result<()> {
    options.check()?;
    runtime()?.block_on(async {
        tokio::select! {
            done = repeat(options) => done,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                bail!("interrupted");
            }
        }
    })
}

async fn repeat(options: &Options) -> Result<()> {
    let mut lines = Vec::new();
    for _ in 0..options.repeat.get() {
        let line = repetition::run(options).await?;
        show(options, &line)?;
        lines.push(line);
    }
    if let Some(summary) = Summary::of(&lines)? {
        if options.json {
            println!("{}", serde_json::to_string(&summary)?);
        } else {
            print!("{}", table::summary(&summary));
        }
    }
    if lines.iter().all(|line| line.ok) {
        Ok(())
    } else {
        bail!("what came out is not what should: see `ok`")
    }
}

fn show(options: &Options, line: &Line) -> Result<()> {
    if options.json {
        println!("{}", serde_json::to_string(line)?);
    } else {
        print!("{}", table::line(line));
    }
    Ok(())
}
