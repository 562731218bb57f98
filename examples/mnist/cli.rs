use std::{num::NonZeroU32, path::PathBuf};

use anyhow::Result;
use clap::{Parser, Subcommand};
use federated_client::device::Device;
use federated_core::{
    compression::Encoding,
    privacy::dp::{Delta, Target},
};

use crate::mnist::{
    data::Data,
    experiment::Experiment,
    job::Recipe,
    participant::Participant,
    partition::Partition,
    private::{self, Budget},
};

/// Rounds of federated averaging, unless told otherwise.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// Participants train a network to read handwritten digits, over mutual TLS, each with its own images.
///
/// Starts a coordinator and the participants on this machine, each a process of its own, divides MNIST's 60,000
/// training images among them, and measures each round's model on the 10,000 test images.
#[derive(Debug, Parser)]
#[command(name = "mnist", args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    /// What a process of the federation does.
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    /// What the experiment does.
    #[command(flatten)]
    pub(crate) options: Options,
}

/// The processes that the example starts.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    #[command(hide = true)]
    Coordinator {
        /// The folder that `init` made.
        folder: PathBuf,
    },
    #[command(hide = true)]
    Participant(Participant),
}

/// The settings of the experiment.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The folder with MNIST's four files, each packed with gzip: train-images-idx3-ubyte.gz and so on.
    #[arg(long, value_name = "DIR", default_value = "mnist")]
    data: PathBuf,
    /// Take files of this form that are not MNIST's, for instance Fashion-MNIST's.
    #[arg(long)]
    unverified: bool,
    /// How many participants; all take part in every round.
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(2..=100))]
    participants: u32,
    /// Rounds of federated averaging, 20 unless told otherwise; with --dp, passes over the images, 40.
    #[arg(long)]
    rounds: Option<NonZeroU32>,
    /// Who gets which images.
    #[arg(long, default_value = "iid")]
    partition: Partition,
    /// Passes over a participant's images in each round.
    #[arg(long, default_value = "1")]
    local_epochs: NonZeroU32,
    /// Images in a step.
    #[arg(long, default_value = "10")]
    batch_size: NonZeroU32,
    /// Step size.
    #[arg(long, default_value = "0.1")]
    lr: f32,
    /// What every random choice follows from.
    #[arg(long, default_value_t = 42, value_parser = clap::value_parser!(u64).range(..=1 << 53))]
    seed: u64,
    /// Repeat with so many seeds, counted up from --seed, and show a table with mean and standard deviation.
    #[arg(long, default_value = "1")]
    seeds: NonZeroU32,
    /// How updates travel: f32, bf16, f16, int8, int4 or top-k:FRACTION, each also with +zstd.
    #[arg(long, value_name = "CODEC", default_value_t = Encoding::PLAIN)]
    compression: Encoding,
    /// Run with each of these encodings, separated by commas, and show them as a table against the first.
    #[arg(long, value_name = "CODECS", value_delimiter = ',', conflicts_with = "compression")]
    compare: Vec<Encoding>,
    /// Where the participants train: cpu, auto or cuda:N (needs --features cuda).
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Train at one site, with differential privacy for each image, within this budget: epsilon=1.2. There is no federation then.
    #[arg(long, value_name = "BUDGET", conflicts_with_all = [
        "participants", "partition", "local_epochs", "batch_size", "lr", "seeds", "compression", "compare", "device",
    ])]
    pub(crate) dp: Option<Budget>,
    /// The chance that the budget's promise does not hold.
    #[arg(long, requires = "dp", default_value = "1e-5", value_parser = delta)]
    delta: Delta,
    /// Write the result of every run into this file, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// The experiment, checked, with its data.
    pub(crate) fn experiment(&self) -> Result<Experiment> {
        let recipe = self.recipe();
        let data = Data::read(&self.data, self.unverified)?;
        Experiment::new(data, self.participants, self.partition, recipe, self.device)
    }

    fn recipe(&self) -> Recipe {
        Recipe {
            rounds: self.rounds.unwrap_or(ROUNDS),
            local_epochs: self.local_epochs,
            batch_size: self.batch_size,
            learning_rate: self.lr,
        }
    }

    /// What training at one site needs, if that is asked for: the data, the budget, how, and the seed.
    pub(crate) fn private(&self) -> Result<Option<(Data, Target, private::Recipe, u64)>> {
        let Some(Budget { epsilon }) = self.dp else { return Ok(None) };
        let (target, published) = (Target { epsilon, delta: self.delta }, private::Recipe::PUBLISHED);
        let recipe = private::Recipe { epochs: self.rounds.unwrap_or(published.epochs), ..published };
        Ok(Some((Data::read(&self.data, self.unverified)?, target, recipe, self.seed)))
    }

    /// The encodings in their order.
    pub(crate) fn encodings(&self) -> &[Encoding] {
        if self.compare.is_empty() { std::slice::from_ref(&self.compression) } else { &self.compare }
    }

    /// The seeds in their order.
    pub(crate) fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.seed;
        (0..self.seeds.get()).map(move |step| first + u64::from(step))
    }
}

fn delta(text: &str) -> Result<Delta> {
    Ok(Delta::new(text.parse()?)?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("mnist").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definitions_of_all_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn encodings_and_seeds_are_what_is_asked_for() {
        let options = parse("").unwrap().options;
        assert_eq!((options.encodings(), options.seeds().count()), (&[Encoding::PLAIN][..], 1));
        let options = parse("--compare f32,int8,top-k:0.01+zstd --seeds 2 --seed 7").unwrap().options;
        let encodings: Vec<String> = options.encodings().iter().map(ToString::to_string).collect();
        assert_eq!(encodings, ["f32", "int8", "top-k:0.01+zstd"]);
        assert_eq!(options.seeds().collect::<Vec<_>>(), [7, 8]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--rounds 0",
            "--participants 1",
            "--partition all",
            "--compression gzip",
            "--compare f32 --compression int8",
            "--dp 1.2",
            "--dp epsilon=1.2 --participants 3",
            "--dp epsilon=1.2 --delta 1",
            "--delta 1e-6",
            "coordinator",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_participant_s_process_reads_the_arguments_it_is_given() {
        let arguments = Participant::arguments("/tmp/a b".as_ref(), Device::Cpu);
        let cli = Cli::try_parse_from(std::iter::once("mnist".to_owned()).chain(arguments)).unwrap();
        assert!(matches!(cli.role, Some(Role::Participant(_))));
    }
}
