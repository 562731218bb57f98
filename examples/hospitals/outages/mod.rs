//! What outages cost: `cargo run --release --example outages`.
//!
//! The patients of the four hospitals lie at ten sites, which train together twice, with the recipe of the example. The
//! second time three sites are killed (SIGKILL) in every round, each at a random moment of its work, and started again when the round
//! is over; a round goes on with the seven that are left. The last line tells the accuracy of both models.
//!
//! Read in this order: `patients` deals them to the sites, a `site` is a participant's process, `training` is one run
//! of the job with its kills.

mod patients;
mod site;
mod training;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::{
    federation::run_coordinator,
    hospitals::outages::{
        patients::Dealt,
        site::Site,
        training::{Trained, Training},
    },
};

/// By how much outages may change the share of patients that are put right.
const TOLERANCE: f64 = 0.01;

/// Kills come within this part of the time that an undisturbed round takes: later, most sites have delivered.
const PART: u32 = 4;

/// Trains on real data while sites are killed in every round, and compares the result with an undisturbed training.
#[derive(Debug, Parser)]
#[command(name = "outages", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Role {
    #[command(hide = true)]
    Coordinator { folder: std::path::PathBuf },
    #[command(hide = true)]
    Site(Site),
}

#[derive(Debug, Args)]
struct Options {
    /// Rounds of training.
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// Sites that the patients are dealt to.
    #[arg(long, default_value_t = 10)]
    sites: usize,
    /// Sites that are killed in every round.
    #[arg(long, default_value_t = 3)]
    killed: usize,
    /// What every random choice follows from.
    #[arg(long, default_value_t = 42, value_parser = clap::value_parser!(u64).range(..=1 << 53))]
    seed: u64,
}

/// The program: what its arguments ask for.
pub async fn main() -> ExitCode {
    let Cli { role, options } = Cli::parse();
    let done = match role {
        Some(Role::Coordinator { folder }) => run_coordinator(&folder).await,
        Some(Role::Site(site)) => site.run().await,
        None => tokio::select! {
            done = compare(&options) => done,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(anyhow::Error::from).and_then(|()| bail!("interrupted"))
            }
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

async fn compare(options: &Options) -> Result<()> {
    let Options { rounds, sites, killed, seed } = *options;
    if killed >= sites {
        bail!("--killed: expected fewer than the {sites} sites, found {killed}");
    }
    let dealt = Dealt::new(sites, seed)?;
    let training = Training { rounds, quorum: sites - killed, seed };
    let undisturbed = training.run(&dealt, None).await?;
    eprintln!("undisturbed: {undisturbed}");
    let within = undisturbed.elapsed / rounds / PART;
    let disturbed = training.run(&dealt, Some((killed, within))).await?;
    eprintln!("disturbed: {disturbed}");
    let accuracy = |trained: &Trained| dealt.accuracy(&trained.model);
    let (with, without) = (accuracy(&disturbed)?, accuracy(&undisturbed)?);
    println!("rounds {rounds}, killed {}, accuracy {with:.3} undisturbed {without:.3}", disturbed.kills);
    if (with - without).abs() <= TOLERANCE { Ok(()) } else { bail!("outages cost more than {TOLERANCE}") }
}
