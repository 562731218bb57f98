use std::{num::NonZeroU32, path::PathBuf};

use anyhow::{Result, ensure};
use clap::Parser;
use federated_core::privacy::dp::{ClipNorm, Delta, Epsilon, SamplingRate, Target};

use crate::audit::recipe::Recipe;

/// Trains once with differential privacy, with canaries among the patients, and says what epsilon is at the least.
///
/// A coin says of each canary whether it is trained on; then the coins of some are guessed from the model. Better guesses than a
/// mechanism of the claimed epsilon allows refute the claim. The exit status is 1 then.
#[derive(Debug, Parser)]
#[command(name = "audit")]
pub(crate) struct Cli {
    /// How many canaries there are.
    #[arg(long, default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    canaries: u32,
    /// How many of them are guessed: half of these to be in, half to be out.
    #[arg(long, default_value = "300")]
    guesses: u32,
    /// The epsilon that is claimed: the noise is calibrated to it.
    #[arg(long, default_value = "4", value_parser = quantity::<Epsilon>)]
    epsilon: Epsilon,
    /// The delta that it is claimed with.
    #[arg(long, default_value = "1e-5", value_parser = quantity::<Delta>)]
    delta: Delta,
    /// Steps of training.
    #[arg(long, default_value = "30")]
    steps: NonZeroU32,
    /// The chance of each example to be in a step.
    #[arg(long, default_value = "1", value_parser = quantity::<SamplingRate>)]
    sampling_rate: SamplingRate,
    /// What each example's gradient is clipped to.
    #[arg(long, default_value = "1", value_parser = quantity::<ClipNorm>)]
    clip: ClipNorm,
    /// Step size.
    #[arg(long, default_value = "1")]
    lr: f32,
    /// Makes the run repeatable, and so without any privacy. Default: randomness of the system.
    #[arg(long)]
    seed: Option<u64>,
    /// Write the result into this file, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Cli {
    /// What is asked for, checked.
    pub(crate) fn recipe(&self) -> Result<Recipe> {
        let Self { canaries, guesses, epsilon, delta, steps, sampling_rate, clip, lr, seed, .. } = *self;
        ensure!(
            guesses <= canaries && guesses.is_multiple_of(2) && guesses > 0,
            "--guesses: expected an even number of at most --canaries ({canaries}), found {guesses}"
        );
        let (claim, learning_rate, guesses_each) = (Target { epsilon, delta }, lr, guesses / 2);
        Ok(Recipe { canaries, guesses_each, claim, steps, sampling_rate, clip, learning_rate, seed })
    }
}

fn quantity<Q: TryFrom<f64, Error: std::fmt::Display>>(text: &str) -> Result<Q, String> {
    let number: f64 = text.parse().map_err(|_| format!("expected a number, found {text:?}"))?;
    Q::try_from(number).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_of_all_arguments_fit_together() {
        Cli::command().debug_assert();
        assert_eq!(Cli::parse_from(["audit"]).recipe().unwrap().guesses_each, 150);
        for line in ["--guesses 7", "--canaries 10", "--guesses 0"] {
            let words = std::iter::once("audit").chain(line.split(' '));
            assert!(Cli::parse_from(words).recipe().is_err(), "{line}");
        }
        assert!(Cli::try_parse_from(["audit", "--epsilon", "nan"]).is_err());
    }
}
