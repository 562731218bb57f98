//! `federated-coordinator`: sets up, runs and operates a coordinator from the command line.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Says what failed and why, one cause a line, leaving out a cause that the line before it quotes.
#[expect(clippy::print_stderr, reason = "the last word of a program that fails, also without a log")]
fn report(error: &anyhow::Error) {
    let mut said = error.to_string();
    eprintln!("error: {said}");
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            eprintln!("  because {cause}");
            said = cause;
        }
    }
}
