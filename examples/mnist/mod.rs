//! Participants learn to read digits over mutual TLS: `cargo run --release --example mnist -- --data DIR`.
//!
//! Read in this order: `experiment` is the story: one seed's federation with one encoding of updates. The data: `idx`
//! (a pair of files), `data` (MNIST's four, and a participant's own two), `partition` (who gets which images). `job` is
//! what is trained; `participant` is a participant's process, and `federation`, which is for all examples, starts
//! it. What is shown: `report`. `private` is another story: one site that trains with differential privacy.

mod cli;
mod data;
mod experiment;
mod idx;
mod job;
mod participant;
mod partition;
mod private;
mod report;

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use federated_core::privacy::dp::Target;
use serde::Serialize;

use crate::{
    compression,
    federation::run_coordinator,
    mnist::{
        cli::{Cli, Options, Role},
        data::Data,
        private::{Recipe, train_privately},
        report::Run,
    },
};

/// The program: what its arguments ask for.
pub async fn main() -> ExitCode {
    let Cli { role, options } = Cli::parse();
    let done = match role {
        Some(Role::Coordinator { folder }) => run_coordinator(&folder).await,
        Some(Role::Participant(participant)) => participant.run().await,
        None => tokio::select! {
            done = run(&options) => done,
            _interrupted = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every seed with every encoding, or one site with differential privacy.
async fn run(options: &Options) -> Result<()> {
    if let Some((data, target, recipe, seed)) = options.private()? {
        return run_privately(&data, target, &recipe, seed, options.json.as_deref());
    }
    let experiment = options.experiment()?;
    let mut all: Vec<Run> = Vec::new();
    let mut compared = Vec::new();
    for encoding in options.encodings() {
        let first = all.len();
        for seed in options.seeds() {
            eprintln!("seed {seed}, updates as {encoding}");
            let run = experiment.run(seed, *encoding, |round| eprintln!("{}", round.line())).await?;
            all.push(run);
        }
        compared.push(Run::compared(*encoding, all.get(first..).unwrap_or_default()));
    }
    if let [run] = all.as_slice() {
        print!("{}", run.text());
    } else {
        print!("{}", compression::table(&compared));
    }
    if let Some(file) = &options.json {
        write(file, &all)?;
    }
    Ok(())
}

fn run_privately(data: &Data, target: Target, recipe: &Recipe, seed: u64, json: Option<&Path>) -> Result<()> {
    let progress = |pass, accuracy| eprintln!("pass {pass:3}: accuracy {accuracy:.4}");
    let run = tokio::task::block_in_place(|| train_privately(data, target, recipe, seed, progress))?;
    print!("{}", run.text());
    json.map_or(Ok(()), |file| write(file, &run))
}

fn write(file: &Path, result: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(result)? + "\n";
    fs::write(file, text).with_context(|| file.display().to_string())
}
