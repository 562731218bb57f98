//! Four hospitals train one model of heart disease over mutual TLS: `cargo run --release --example hospitals`.
//!
//! Read in this order: `experiment` is the story: one seed's federation and what it is compared with. The data:
//! `hospital` (the files), `patient` (a line becomes `columns`), `split` (training and test). What leaves a
//! hospital: `moments`, and then updates of the `model`; `trainer` is a hospital's side of both, and
//! `normalisation` what the moments are for. The jobs: `recipe`. The processes: `federation` starts them as
//! `child`ren, which run `coordinator` and `participant`. What is shown: `progress`, `figures`, `table`,
//! `json`.

mod child;
mod cli;
mod columns;
mod coordinator;
mod experiment;
mod federation;
mod figures;
mod hospital;
mod json;
mod model;
mod moments;
mod normalisation;
mod participant;
mod patient;
mod progress;
mod recipe;
mod split;
mod table;
mod trainer;

use std::{fs, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::hospitals::{
    cli::{Cli, Options, Role},
    experiment::{Experiment, Outcome},
    federation::Federation,
    json::Report,
    progress::Progress,
};

/// The program: what its arguments ask for.
pub async fn main() -> ExitCode {
    let Cli { role, options } = Cli::parse();
    let done = match role {
        Some(Role::Coordinator { folder }) => coordinator::run(&folder).await,
        Some(Role::Participant(participant)) => participant.run().await,
        None => experiment(&options).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn experiment(options: &Options) -> Result<()> {
    let experiment = options.experiment()?;
    let outcomes = tokio::select! {
        outcomes = run(&experiment, options) => outcomes?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted");
        }
    };
    print!("{}", table::text(&experiment, &outcomes));
    if let Some(file) = &options.json {
        let report = Report::new(&experiment, &outcomes).context("there is a seed")?;
        let text = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// Runs every seed on one federation.
async fn run(experiment: &Experiment, options: &Options) -> Result<Vec<Outcome>> {
    let seeds = options.seeds();
    let mut progress = Progress::new(u32::try_from(seeds.len())?);
    let mut federation = Federation::start(experiment.split, experiment.device).await?;
    let outcomes = run_seeds(experiment, seeds, &mut federation, &mut progress).await;
    // Also after a failure: the processes use the folder that goes with the federation.
    let stopped = federation.stop().await;
    progress.finish();
    let outcomes = outcomes?;
    stopped?;
    Ok(outcomes)
}

async fn run_seeds(
    experiment: &Experiment,
    seeds: impl Iterator<Item = u64>,
    federation: &mut Federation,
    progress: &mut Progress,
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for seed in seeds {
        let outcome = experiment.run(federation, seed, progress).await?;
        progress.seed_done(&outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
