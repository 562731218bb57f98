use std::{collections::BTreeMap, num::NonZeroU32};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use federated_core::{
    privacy::secagg::{Fraction, Modulus, Parameters, Terms, VectorPlan},
    update::ExampleCount,
};

use crate::input::MAX_EXAMPLES;

/// What secure aggregation costs each participant of a large cohort, and its coordinator.
///
/// One session of the real machines, with everyone in it, in one thread. The sum is compared with the sum of the inputs.
#[derive(Clone, Debug, Parser)]
#[command(name = "secagg-cohort", version)]
pub(crate) struct Options {
    /// Participants; from 256 on they stand on a ring.
    #[arg(long, default_value = "1000", value_name = "N")]
    pub(crate) clients: NonZeroU32,
    /// Values of the model.
    #[arg(long, default_value = "100000", value_name = "M")]
    pub(crate) params: NonZeroU32,
    /// Participants that drop out after they have shared their keys, and whose masks are recovered.
    #[arg(long, default_value = "0", value_name = "D")]
    pub(crate) dropouts: u32,
    /// The share of participants that may be corrupt.
    #[arg(long, default_value = "0.1", value_name = "SHARE", value_parser = fraction)]
    pub(crate) gamma: Fraction,
    /// The share that may drop out.
    #[arg(long, default_value = "0.1", value_name = "SHARE", value_parser = fraction)]
    pub(crate) delta: Fraction,
    /// Bits of an element of a vector: 16, 24 or 32.
    #[arg(long, default_value = "32", value_name = "BITS", value_parser = modulus)]
    pub(crate) modulus_bits: Modulus,
    /// What the keys follow from.
    #[arg(long, default_value_t = 0, value_name = "S", value_parser = clap::value_parser!(u64).range(..=1 << 53))]
    pub(crate) seed: u64,
    /// Print one line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn fraction(text: &str) -> Result<Fraction> {
    Ok(Fraction::try_from(text.parse::<f64>()?)?)
}

fn modulus(text: &str) -> Result<Modulus> {
    Ok(Modulus::try_from(text.parse::<u32>()?)?)
}

impl Options {
    /// What the session agrees on: exactly so many participants, of whom as many must stay as the protocol needs.
    pub(crate) fn terms(&self) -> Result<Terms> {
        let (clients, dropouts) = (self.clients.get(), self.dropouts);
        let most = ExampleCount::new(MAX_EXAMPLES.into())?;
        let vector = VectorPlan::new(self.modulus_bits, 1.0, most, clients, BTreeMap::new())?;
        let terms = Terms::new(self.gamma, self.delta, (clients, clients), None, vector)?;
        let least = terms.min_survivors();
        ensure!(
            clients.checked_sub(dropouts) >= Some(least),
            "--dropouts: expected at least {least} participants that stay, found {clients} of whom {dropouts} drop out"
        );
        Ok(terms)
    }

    /// What follows from the number of participants.
    pub(crate) fn parameters(&self) -> Result<Parameters> {
        Parameters::new(self.clients.get(), self.gamma, self.delta).context("--clients")
    }

    /// Who drops out: as evenly spread over the names as can be.
    pub(crate) fn drops_out(&self, index: u32) -> bool {
        let (clients, dropouts) = (u64::from(self.clients.get()), u64::from(self.dropouts));
        let before = |index: u64| index * dropouts / clients;
        before(u64::from(index) + 1) > before(index.into())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("secagg-cohort").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definitions_of_all_arguments_fit_together() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_thousand_have_ninety_six_neighbours() {
        let parameters = parse("").unwrap().parameters().unwrap();
        assert_eq!((parameters.participants(), parameters.degree()), (1_000, 96));
    }

    #[test]
    fn as_many_drop_out_as_shall() {
        for (clients, dropouts) in [(20, 0), (20, 3), (7, 3), (1_000, 50)] {
            let options = parse(&format!("--clients {clients} --dropouts {dropouts}")).unwrap();
            assert_eq!((0..clients).filter(|index| options.drops_out(*index)).count(), dropouts);
        }
    }

    #[test]
    fn what_cannot_be_is_refused_before_it_begins() {
        for line in ["--clients 0", "--params 0", "--gamma 2", "--gamma x", "--modulus-bits 8"] {
            assert!(parse(line).is_err(), "{line}");
        }
        for line in ["--clients 2", "--clients 20 --dropouts 10", "--dropouts 1001", "--modulus-bits 16"] {
            assert!(parse(line).unwrap().terms().is_err(), "{line}");
        }
        parse("--clients 20 --dropouts 3").unwrap().terms().unwrap();
    }
}
