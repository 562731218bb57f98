use std::{
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::{
    compression::Compression,
    floor::{FloorClients, FloorServer},
    participants::Participants,
};

/// How long a round takes with a real coordinator and real participants over mutual TLS on loopback.
///
/// The coordinator is a process of its own, and so are the participants: all in one, or with --processes one each.
/// Training only adds a constant, another one at each participant, so the result is known and checked.
///
/// Everything is written to disk as in production: what the disk under --dir does counts. The loopback's byte counter
/// and the load are the whole machine's: run it on an idle one.
#[derive(Debug, Parser)]
#[command(name = "roundtrip", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// What a child process does.
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    /// What is measured.
    #[command(flatten)]
    pub(crate) options: Options,
}

/// The processes that the program starts.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    #[command(hide = true)]
    Coordinator {
        /// The folder that `init` made.
        folder: PathBuf,
    },
    #[command(hide = true)]
    Participants(Participants),
    #[command(hide = true)]
    FloorServer(FloorServer),
    #[command(hide = true)]
    FloorClients(FloorClients),
}

/// What is measured, and how it is shown.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Participants.
    #[arg(long, default_value = "4", value_name = "N")]
    pub(crate) clients: NonZeroU32,
    /// Values of the model, 32-bit floats in one tensor.
    #[arg(long, default_value = "25000", value_name = "M")]
    pub(crate) params: NonZeroU64,
    /// Rounds. The figures a round are medians without the first.
    #[arg(long, default_value = "6", value_name = "R")]
    pub(crate) rounds: NonZeroU32,
    /// Training only adds a constant: what the program does with and without this.
    #[arg(long)]
    no_op: bool,
    /// Each participant in a process of its own.
    #[arg(long)]
    pub(crate) processes: bool,
    /// How updates are compressed: none, bf16, f16, int8, int4, top-k or top-k:FRACTION, each with +zstd or without.
    #[arg(long, default_value = "none", value_name = "CODEC")]
    pub(crate) compression: Compression,
    /// Masked updates, summed by secure aggregation.
    #[arg(long, conflicts_with = "compression")]
    pub(crate) secagg: bool,
    /// Participants that drop out of every round after they have shared their keys, and whose masks are recovered.
    #[arg(long, default_value = "0", value_name = "D", requires = "secagg")]
    pub(crate) dropouts: u32,
    /// Differential privacy: not available yet.
    #[arg(long, num_args = 0..=1, value_name = "SETTINGS")]
    dp: Option<Option<String>>,
    /// Measure the floor instead: the same bytes, uncompressed, over plain rustls sockets and a memory copy.
    #[arg(long, conflicts_with_all = ["with_floor", "compression"])]
    pub(crate) floor: bool,
    /// Measure the floor right after each federation, and show the ratio.
    #[arg(long)]
    pub(crate) with_floor: bool,
    /// Do everything so often, each time from the start; a last line has medians and spreads.
    #[arg(long, default_value = "1", value_name = "K")]
    pub(crate) repeat: NonZeroU32,
    /// What the initial model and the job's choices follow from.
    #[arg(long, default_value_t = 0, value_name = "S", value_parser = clap::value_parser!(u64).range(..=1 << 53))]
    pub(crate) seed: u64,
    /// Where the temporary folder with certificates and states is made: the disk matters [default: the system's].
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// After how many seconds a federation or a floor is given up.
    #[arg(long, default_value = "900", value_name = "SECONDS")]
    timeout: NonZeroU32,
    /// Print one line of JSON a repetition.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Options {
    /// Refuses what is not there yet.
    pub(crate) fn check(&self) -> Result<()> {
        let (clients, dropouts) = (self.clients.get(), self.dropouts);
        ensure!(
            !self.secagg || clients >= 3 && dropouts <= clients - 3,
            "--secagg: expected at least 3 participants that stay, found {clients} of whom {dropouts} drop out"
        );
        ensure!(self.dp.is_none(), "--dp: differential privacy is not available yet");
        Ok(())
    }

    /// How long one federation or floor may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout.get()))
    }

    /// The bytes of the model.
    pub(crate) const fn model_bytes(&self) -> u64 {
        self.params.get() * 4
    }

    /// The participants of each process: the first one's number, from 0, and how many.
    pub(crate) fn shares(&self) -> Vec<(u32, u32)> {
        let clients = self.clients.get();
        if self.processes { (0..clients).map(|first| (first, 1)).collect() } else { vec![(0, clients)] }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Cli::try_parse_from(std::iter::once("roundtrip").chain(line.split_whitespace()))
            .map(|cli| cli.options)
    }

    #[test]
    fn the_definitions_of_all_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn participants_share_a_process_unless_each_shall_have_its_own() {
        let options = parse("--clients 3 --params 10 --rounds 2 --no-op").unwrap();
        options.check().unwrap();
        assert_eq!((options.shares(), options.model_bytes()), (vec![(0, 3)], 40));
        let options = parse("--clients 3 --processes --with-floor --compression int8").unwrap();
        assert_eq!(options.shares(), [(0, 1), (1, 1), (2, 1)]);
    }

    #[test]
    fn what_is_not_there_yet_is_refused_by_name() {
        for (line, name) in [("--dp", "--dp"), ("--dp epsilon=1", "--dp"), ("--dp=1", "--dp")] {
            let refusal = parse(line).unwrap().check().unwrap_err().to_string();
            assert!(refusal.starts_with(name) && refusal.ends_with("not available yet"), "{refusal}");
        }
    }

    #[test]
    fn secure_aggregation_needs_three_that_stay() {
        parse("--clients 5 --secagg --dropouts 2").unwrap().check().unwrap();
        assert!(parse("--clients 5 --secagg --dropouts 3").unwrap().check().is_err());
        assert!(parse("--clients 2 --secagg").unwrap().check().is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--clients 0",
            "--params 0",
            "--rounds 0",
            "--repeat 0",
            "--floor --with-floor",
            "--floor --compression int8",
            "--compression gzip",
            "--secagg --compression int8",
            "--dropouts 1",
            "coordinator",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
