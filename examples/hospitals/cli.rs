use std::{num::NonZeroU32, path::PathBuf};

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use federated_client::device::Device;
use federated_core::compression::Encoding;

use crate::hospitals::{
    experiment::Experiment,
    hospital::Hospital,
    participant::Participant,
    private::Budget,
    recipe::{Learning, Recipe},
    secure::Kill,
    split::Split,
};

/// Four hospitals train a model of heart disease over mutual TLS, without showing each other a patient.
///
/// Starts a coordinator and four participants on this machine, each a process of its own, trains on real data, and
/// compares the result with what each hospital reaches alone and with all patients in one place.
#[derive(Debug, Parser)]
#[command(name = "hospitals", args_conflicts_with_subcommands = true)]
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
    /// Rounds of training.
    #[arg(long, default_value = "30")]
    rounds: NonZeroU32,
    /// How the federation learns.
    #[arg(long, default_value = "fedavg")]
    strategy: Learning,
    /// Passes over a hospital's patients in each round [default: 2; FedSGD has always 1].
    #[arg(long)]
    local_epochs: Option<NonZeroU32>,
    /// Step size [default: 0.03; with FedSGD 1.0].
    #[arg(long)]
    lr: Option<f32>,
    /// Patients in a step [default: 16; FedSGD takes always all].
    #[arg(long)]
    batch_size: Option<NonZeroU32>,
    /// What every random choice follows from.
    #[arg(long, default_value_t = 42, value_parser = clap::value_parser!(u64).range(..=1 << 53))]
    seed: u64,
    /// Repeat with so many seeds, counted up from --seed, and show mean and standard deviation.
    #[arg(long, default_value = "1")]
    seeds: NonZeroU32,
    /// How updates travel: f32, bf16, f16, int8, int4 or top-k:FRACTION, each also with +zstd.
    #[arg(long, value_name = "CODEC", default_value_t = Encoding::PLAIN)]
    pub(crate) compression: Encoding,
    /// Run with each of these encodings, separated by commas, and show them as a table against the first.
    #[arg(long, value_name = "CODECS", value_delimiter = ',', conflicts_with_all = ["compression", "json"])]
    pub(crate) compare: Vec<Encoding>,
    /// Mask the updates, so that the coordinator sees only their sum; train in the clear as well, and compare.
    #[arg(long, conflicts_with_all = ["compression", "compare"])]
    secure_aggregation: bool,
    /// Kill this hospital's process (SIGKILL) while it masks, halfway through the training, and start it again.
    #[arg(long, value_name = "HOSPITAL", requires = "secure_aggregation")]
    kill: Option<Hospital>,
    /// Let so little be told of a patient: epsilon=4, or epsilon=4,delta=1e-5; with noise=MULTIPLIER the noise is not the least
    /// that pays for all rounds, and the training ends before the round that the budget does not pay for.
    #[arg(long, value_name = "BUDGET", conflicts_with_all = ["compare", "batch_size", "kill"])]
    dp: Option<Budget>,
    /// With --dp: copy everyone's ledger into this folder, each with the key that checks it.
    #[arg(long, value_name = "FOLDER", requires = "dp")]
    pub(crate) books: Option<PathBuf>,
    /// Where the hospitals train: cpu, auto or cuda:N (needs --features cuda).
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Who is trained on and who is tested on.
    #[arg(long, default_value = "own")]
    split: Split,
    /// Write the result into this file, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// The experiment with updates in this encoding, checked.
    pub(crate) fn experiment(&self, compression: Encoding) -> Result<Experiment> {
        let sgd = self.strategy == Learning::Fedsgd;
        ensure!(
            !(sgd && (self.local_epochs.is_some() || self.batch_size.is_some())),
            "--local-epochs and --batch-size belong to fedavg: fedsgd takes one step on all patients in each round"
        );
        const EPOCHS: NonZeroU32 = NonZeroU32::new(2).unwrap();
        const BATCH: NonZeroU32 = NonZeroU32::new(16).unwrap();
        let recipe = Recipe {
            rounds: self.rounds,
            learning: self.strategy,
            local_epochs: self.local_epochs.unwrap_or(EPOCHS),
            batch_size: self.batch_size.unwrap_or(BATCH),
            learning_rate: self.lr.unwrap_or(match (sgd, self.dp) {
                // With noise each step is on all patients at once, too.
                (true, _) | (false, Some(_)) => 1.0,
                (false, None) => 0.03,
            }),
            compression,
            secure_aggregation: self.secure_aggregation,
            privacy: self.dp,
        };
        recipe.strategy()?;
        const HALF: NonZeroU32 = NonZeroU32::new(2).unwrap();
        let halfway = self.rounds.div_ceil(HALF);
        let kill = self.kill.map(|hospital| Kill { hospital, round: halfway });
        Ok(Experiment { split: self.split, recipe, device: self.device, kill })
    }

    /// The seeds in their order.
    pub(crate) fn seeds(&self) -> impl ExactSizeIterator<Item = u64> + use<> {
        let first = self.seed;
        (0..self.seeds.get()).map(move |step| first + u64::from(step))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("hospitals").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definitions_of_all_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_arguments_it_is_the_recipe_of_the_readme() {
        let options = parse("").unwrap().options;
        let Experiment { split, recipe, device, kill } = options.experiment(options.compression).unwrap();
        assert_eq!((split, device, kill), (Split::Own, Device::Cpu, None));
        assert_eq!((recipe.rounds.get(), recipe.local_epochs.get(), recipe.batch_size.get()), (30, 2, 16));
        assert_eq!((recipe.learning_rate, recipe.compression), (0.03, Encoding::PLAIN));
        assert_eq!(options.seeds().collect::<Vec<_>>(), [42]);
        let options = parse("--seed 7 --seeds 3").unwrap().options;
        assert_eq!(options.seeds().collect::<Vec<_>>(), [7, 8, 9]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--rounds 0",
            "--seeds 0",
            "--device gpu",
            "--split all",
            "--strategy sgd",
            "--compression gzip",
            "--compare f32,gzip",
            "--compare f32,int8 --compression int8",
            "--kill va",
            "--dp 4",
            "--books x",
            "--dp epsilon=4 --batch-size 16",
            "--secure-aggregation --kill zurich",
            "--secure-aggregation --compression int8",
            "coordinator",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        for line in
            ["--lr 0", "--lr NaN", "--strategy fedsgd --local-epochs 2", "--strategy fedsgd --batch-size 8"]
        {
            assert!(parse(line).unwrap().options.experiment(Encoding::PLAIN).is_err(), "{line}");
        }
    }

    #[test]
    fn a_hospital_s_process_reads_the_arguments_it_is_given() {
        let arguments =
            Participant::arguments("/tmp/a b".as_ref(), Split::Published, Device::Cpu, NonZeroU32::new(2));
        let cli = Cli::try_parse_from(std::iter::once("hospitals".to_owned()).chain(arguments)).unwrap();
        assert!(matches!(cli.role, Some(Role::Participant(_))));
    }
}
