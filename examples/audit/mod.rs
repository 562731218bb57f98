//! Does training keep the epsilon that it claims? One run of it, audited: `cargo run --release --example audit`.
//!
//! Read in this order: `experiment` is the story; `canaries` are the examples whose coins the auditor guesses, among the `patients`
//! that the model is for; `recipe` has the numbers, `cli` asks for them, `audited` says what came of it.

mod audited;
mod canaries;
mod cli;
mod experiment;
mod patients;
mod recipe;
#[cfg(test)]
mod tests;

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;

use self::{audited::Audited, cli::Cli, experiment::Experiment};

/// The program: fails when the bound is above the claim.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(audited) if audited.refutes_claim() => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<Audited> {
    let audited = Experiment::new(cli.recipe()?)?.run()?;
    print!("{audited}");
    cli.json.as_deref().map_or(Ok(()), |file| write(file, &audited))?;
    Ok(audited)
}

fn write(file: &Path, audited: &Audited) -> Result<()> {
    let text = serde_json::to_string_pretty(audited)? + "\n";
    fs::write(file, text).with_context(|| file.display().to_string())
}
