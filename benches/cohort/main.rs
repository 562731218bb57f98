//! What secure aggregation costs each participant of a large cohort, and its coordinator: one session with everyone in it.
//!
//! `cargo run --release -p federated-benches --bin secagg-cohort -- --clients 1000 --params 100000 --dropouts 50`
//!
//! The machines are those of a federation. Between them is no network and no disk, but every message is encoded as it
//! travels, and read again: what it takes to write and read it is in the seconds, and its length is in the bytes. TLS, and
//! the framing of HTTP/2 and gRPC (5 bytes a message), are not. One thread does everybody's work, one after the other; a
//! second is a second of its processor time. A vector goes into the sum as soon as it is masked, and nobody keeps it.
//!
//! Beside the masks over a vector, and the masks off the sum, is their floor: the same bytes of keystream as ring makes
//! them, and one read and write of the vector.
//!
//! Read in this order: `cli` is what can be asked for; `session` leads everyone through the stages; `participant` and
//! `coordinator` are the two sides, whose messages `wire` writes and reads; `input` is what is summed; `floor`. What is
//! shown: `costs` gathers, `report` is one line of JSON, `table` the same for people.

mod cli;
mod coordinator;
mod costs;
mod floor;
mod input;
mod participant;
mod report;
mod session;
mod table;
mod wire;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use federated_benches::system::load_average;

use crate::{cli::Options, report::Line};

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    let load = load_average();
    let line = Line::new(options, &session::run(options)?, load)?;
    if options.json {
        println!("{}", serde_json::to_string(&line)?);
    } else {
        print!("{}", table::line(&line));
    }
    ensure!(line.ok, "the sum without masks is not the sum of the inputs");
    Ok(())
}
