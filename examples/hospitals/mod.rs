//! Four hospitals train one model of heart disease over mutual TLS: `cargo run --release --example hospitals`.
//!
//! Read in this order: `experiment` is the story: one seed's federation and what it is compared with. The data:
//! `hospital` (the files), `patient` (a line becomes `columns`), `split` (training and test). What leaves a
//! hospital: `moments`, and then updates of the `model`; `trainer` is a hospital's side of both, and
//! `normalisation` what the moments are for. The jobs: `recipe`, `secure` when updates are masked, and `private` when little may be told of a patient; then `statistics`
//! takes the place of the moments. The hospitals' processes run `participant`; they are
//! started by `federation`, which is for all examples. What is shown: `progress`, `figures`, `table`, `json`. In [`outages`] the
//! same patients train at more sites, which are killed again and again.

mod cli;
mod columns;
mod experiment;
mod figures;
pub(crate) mod hospital;
mod json;
mod model;
mod moments;
mod normalisation;
pub mod outages;
mod participant;
pub(crate) mod patient;
mod private;
mod progress;
mod recipe;
mod secure;
pub(crate) mod split;
mod statistics;
mod table;
mod trainer;

use std::{fs, process::ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::{
    compression,
    federation::{Federation, run_coordinator},
    hospitals::{
        cli::{Cli, Options, Role},
        experiment::{Experiment, Outcome},
        hospital::Hospital,
        json::Report,
        participant::Participant,
        private::Books,
        progress::Progress,
        secure::SigningKeys,
    },
};

/// The program: what its arguments ask for.
pub async fn main() -> ExitCode {
    let Cli { role, options } = Cli::parse();
    let done = match role {
        Some(Role::Coordinator { folder }) => run_coordinator(&folder).await,
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
    tokio::select! {
        done = compare_or_run(options) => done,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted");
        }
    }
}

async fn compare_or_run(options: &Options) -> Result<()> {
    if !options.compare.is_empty() {
        let mut all = Vec::new();
        for encoding in &options.compare {
            let outcomes = run(&options.experiment(*encoding)?, options).await?.outcomes;
            all.push(Outcome::compared(*encoding, &outcomes));
        }
        print!("{}", compression::table(&all));
        return Ok(());
    }
    let experiment = options.experiment(options.compression)?;
    let clear = match experiment.recipe.secure_aggregation && experiment.recipe.privacy.is_none() {
        true => Some(run(&experiment.in_the_clear(), options).await?.outcomes),
        false => None,
    };
    let Ran { outcomes, books } = run(&experiment, options).await?;
    print!("{}{books}", table::text(&experiment, &outcomes));
    if let Some(file) = &options.json {
        let report = Report::new(&experiment, &outcomes).context("there is a seed")?;
        let text = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    if let Some(clear) = clear {
        let most = experiment.kill.map_or(secure::ROUNDING_COSTS, |_| secure::KILL_COSTS);
        let (text, holds) = secure::verdict(&clear, &outcomes, most)?;
        print!("{text}");
        ensure!(holds, "secure aggregation costs more than {most} of AUC");
    }
    Ok(())
}

/// What became of a federation.
struct Ran {
    outcomes: Vec<Outcome>,
    /// What everyone's ledgers say, in words; empty when nothing was to be counted.
    books: String,
}

/// Runs every seed on one federation.
async fn run(experiment: &Experiment, options: &Options) -> Result<Ran> {
    let seeds = options.seeds();
    let mut progress = Progress::new(u32::try_from(seeds.len())?);
    let mut federation = start(experiment, seeds.len()).await?;
    let outcomes = run_seeds(experiment, seeds, &mut federation, &mut progress).await;
    // Also after a failure: a run that the budget ended is in the books.
    let books = match experiment.recipe.privacy {
        Some(_) => Books::of(federation.folder(), options.seeds().last(), options.books.as_deref()).await,
        None => Ok(String::new()),
    };
    // The processes use the folder that goes with the federation.
    let stopped = federation.stop().await;
    progress.finish();
    if let (Err(_), Ok(books)) = (&outcomes, &books) {
        eprint!("{books}");
    }
    let outcomes = outcomes?;
    stopped?;
    Ok(Ran { outcomes, books: books? })
}

/// The coordinator and the four hospitals.
async fn start(experiment: &Experiment, seeds: usize) -> Result<Federation> {
    let names = Hospital::ALL.map(Hospital::participant).into_iter().collect::<Result<Vec<_>, _>>()?;
    let keys = experiment.recipe.secure_aggregation.then(SigningKeys::new).transpose()?;
    Federation::start("hospitals", &names, |name, bundle| {
        let hospital: Hospital = name.as_str().parse().map_err(anyhow::Error::msg)?;
        if let Some(keys) = &keys {
            keys.furnish(hospital, bundle)?;
        }
        if let Some(budget) = &experiment.recipe.privacy {
            budget.furnish(bundle, seeds)?;
        }
        let held_in = experiment.kill.filter(|kill| kill.hospital == hospital).map(|kill| kill.round);
        Participant::furnish(hospital, experiment.split, experiment.device, held_in, bundle)
    })
    .await
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
