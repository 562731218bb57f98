//! The command line: `check` tries everything a participant needs, `run` takes part, `new-model` makes a model for the
//! built-in trainer, `ledger` looks at what this site has spent of its privacy.

mod check;
mod ledger;
mod model;
mod run;
mod signals;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use federated_client::{config::ParticipantConfig, device::Device, signing};
use federated_core::ids::ParticipantName;
use tokio::runtime::Runtime;

/// How long blocking work may take to end once everything else has.
const PATIENCE: Duration = Duration::from_secs(1);

/// A participant of a federation: trains on this site's data and sends updates to the coordinator.
#[derive(Parser)]
#[command(name = "federated-client", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tries everything this participant needs, and says what to mend.
    Check(Site),
    /// Takes part until Ctrl-C or SIGTERM, training on the table of `[data]`.
    Run(RunArguments),
    /// Makes an initial model for the built-in trainer.
    NewModel(model::NewModel),
    /// Makes this participant's long-lived key for secure aggregation, and prints its line of everyone's roster.
    SecaggKey(SecaggKey),
    Ledger(ledger::LedgerCommand),
}

#[derive(Args)]
struct SecaggKey {
    /// This participant's name, as in its certificate.
    name: ParticipantName,
    /// Where the key goes. A file that is there is not written over.
    #[arg(long, value_name = "FILE", default_value = "signing.key")]
    out: PathBuf,
}

#[derive(Args)]
struct Site {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "participant.toml")]
    config: PathBuf,
    /// Where to train instead of what the file says: auto, cpu or cuda:N.
    #[arg(long, value_name = "DEVICE")]
    device: Option<Device>,
}

#[derive(Args)]
struct RunArguments {
    #[command(flatten)]
    site: Site,
    /// Ends after this many jobs have ended.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    stop_after_jobs: Option<u32>,
    /// Saves the newest model of a job that ended, in the state folder as final/JOB.safetensors.
    #[arg(long)]
    keep_final_model: bool,
}

impl Site {
    fn load(&self) -> anyhow::Result<ParticipantConfig> {
        let mut config = ParticipantConfig::load(&self.config)?;
        config.device = self.device.unwrap_or(config.device);
        Ok(config)
    }
}

impl SecaggKey {
    fn run(&self) -> anyhow::Result<()> {
        let public = signing::make_key(&self.out)?;
        writeln!(io::stdout(), "{} {public}", self.name).context("standard output")
    }
}

/// Runs what the arguments ask for. An error goes to standard error.
pub(crate) fn main() -> ExitCode {
    run_command(Arguments::parse()).unwrap_or_else(|error| {
        // Where standard error is closed, the exit code still tells.
        let _ = writeln!(io::stderr(), "error: {}", with_causes(&error));
        ExitCode::FAILURE
    })
}

fn run_command(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the network threads cannot be started")?;
    let result = match arguments.command {
        Command::Check(site) => check::check(&runtime, &site),
        Command::Run(arguments) => run::run(&runtime, &arguments).map(|()| ExitCode::SUCCESS),
        Command::NewModel(model) => model.run().map(|()| ExitCode::SUCCESS),
        Command::Ledger(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::SecaggKey(key) => key.run().map(|()| ExitCode::SUCCESS),
    };
    Runtime::shutdown_timeout(runtime, PATIENCE);
    result
}

/// An error in one line with what caused it, as far as the line does not say so already.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}
