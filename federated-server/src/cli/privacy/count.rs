use std::{fs, num::NonZeroU32, path::PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use federated_core::privacy::dp::{
    Accountant, Comparison, Composition, Delta, Epsilon, NoiseMultiplier, QuantityError, SamplingRate,
    Target, least_noise,
};
use serde::Serialize;

/// Says which epsilon a list of rounds spends, by each accountant that can count them.
#[derive(Debug, Args)]
pub(super) struct EpsilonOf {
    /// A JSON file: a list of {"noise_multiplier": ..., "sampling_rate": ..., "rounds": ...}.
    #[arg(long, value_name = "FILE")]
    steps: PathBuf,
    /// How much probability the epsilon may miss by: above 0, below 1.
    #[arg(long, value_parser = quantity::<Delta>)]
    delta: Delta,
    /// Prints one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Says how much noise keeps a run within a budget.
#[derive(Debug, Args)]
pub(super) struct NoiseFor {
    /// The most epsilon that may be spent.
    #[arg(long, value_parser = quantity::<Epsilon>)]
    epsilon: Epsilon,
    /// How much probability the epsilon may miss by: above 0, below 1.
    #[arg(long, value_parser = quantity::<Delta>)]
    delta: Delta,
    /// The chance with which each unit takes part in a round; 1: everyone does.
    #[arg(long, value_name = "RATE", value_parser = quantity::<SamplingRate>)]
    sampling_rate: SamplingRate,
    /// How many rounds there are.
    #[arg(long)]
    rounds: NonZeroU32,
    /// Who counts: gaussian, rdp or pld. Default: gaussian if everyone takes part in each round, else pld.
    #[arg(long)]
    accountant: Option<Accountant>,
    /// Prints one line of JSON.
    #[arg(long)]
    json: bool,
}

/// What `noise` prints as JSON.
#[derive(Serialize)]
struct Noise {
    noise_multiplier: NoiseMultiplier,
    accountant: Accountant,
    accountant_version: u32,
}

impl EpsilonOf {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let file = self.steps.display();
        let text = fs::read_to_string(&self.steps).with_context(|| format!("cannot read {file}"))?;
        let steps: Composition = serde_json::from_str(&text).with_context(|| {
            format!("{file}: expected a list of {{\"noise_multiplier\": ..., \"sampling_rate\": ..., \"rounds\": ...}}")
        })?;
        ensure!(!steps.steps().is_empty(), "{file}: expected at least one step, found an empty list");
        let found = Comparison::of(&steps, self.delta)?;
        if self.json {
            println!("{}", serde_json::to_string(&found)?);
            return Ok(());
        }
        println!("{} rounds spend, with delta {}, by the accountant", steps.rounds(), self.delta);
        println!("  rdp       epsilon {:.6} (order {})", found.epsilon_rdp, found.rdp_order);
        println!("  pld       epsilon {:.6}", found.epsilon_pld);
        if let Some(exact) = found.epsilon_exact {
            println!("  gaussian  epsilon {exact:.6} (exact)");
        }
        println!("Each is an upper bound; the smallest counts.");
        Ok(())
    }
}

impl NoiseFor {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { epsilon, delta, sampling_rate, rounds, .. } = self;
        let accountant = self.accountant.unwrap_or_else(|| Accountant::closest_at(sampling_rate));
        let noise_multiplier = least_noise(accountant, Target { epsilon, delta }, sampling_rate, rounds)?;
        if self.json {
            let noise = Noise { noise_multiplier, accountant, accountant_version: accountant.version() };
            println!("{}", serde_json::to_string(&noise)?);
        } else {
            println!(
                "A noise multiplier of {noise_multiplier} keeps {rounds} rounds at sampling rate {sampling_rate} within \
                 epsilon {epsilon} with delta {delta}, by the accountant {accountant} (version {}).",
                accountant.version()
            );
        }
        Ok(())
    }
}

/// Parses an argument that is a number with a range.
fn quantity<Q: TryFrom<f64, Error = QuantityError>>(text: &str) -> Result<Q, String> {
    let number: f64 = text.parse().map_err(|_| format!("expected a number, found {text:?}"))?;
    Q::try_from(number).map_err(|error| error.to_string())
}
