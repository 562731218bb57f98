//! Checks secure aggregation against published vectors, and against whole sessions that other implementations made.
//!
//! `cargo run --release -p federated-tests --bin secagg-vectors -- FILE.json`
//!
//! The vectors of RFC 7748, RFC 5869 and RFC 8032 and a small session are built in and always checked. A file may have any
//! number of sessions, of any size and modulus, with long masks given by their SHA-256, and secrets in shares; the schema is
//! in `support/vectors/schema.rs`. Everything is compared byte for byte. Exits with 1 at the first difference, and names it.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use federated_tests::vectors;

/// Checks secure aggregation against vectors, byte for byte.
#[derive(Debug, Parser)]
struct Cli {
    /// Files of sessions and shares, in JSON.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

fn run(cli: &Cli) -> Result<()> {
    vectors::check_published().context("RFC 7748, RFC 5869 or RFC 8032")?;
    println!("RFC 7748, RFC 5869 and RFC 8032: as published");
    println!("built-in session: {}", vectors::check(vectors::BUILT_IN).context("built-in session")?);
    for path in &cli.files {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let checked = vectors::check(&text).with_context(|| path.display().to_string())?;
        println!("{}: {checked}", path.display());
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
