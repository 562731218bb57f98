//! `privacy plan`: what a job's differential privacy takes, beside other choices.
//!
//! [`table`] prints the choices; [`curve`] is what is spent by round, which `plot` draws with characters and `svg` as a picture.

mod curve;
mod plot;
mod svg;
mod table;

use std::{fs, num::NonZeroU32, path::PathBuf};

use anyhow::Context;
use clap::Args;
use federated_core::{
    config::JobConfig,
    privacy::dp::{
        ledger::PrivacyUnit,
        terms::{PrivacyPlan, PrivacyTerms},
    },
};
use serde::Serialize;

use curve::Curve;
use table::Table;

/// Shows which noise a job's differential privacy takes, for its own and other epsilons, rounds and cohorts.
#[derive(Debug, Args)]
pub(in crate::cli) struct Plan {
    /// The job file, with a table [privacy.dp]. Its initial model need not be there yet.
    job: PathBuf,
    /// With noise at each site: how many records a site has. Nobody but the site knows, so it is a guess.
    #[arg(long, default_value = "1000")]
    records: NonZeroU32,
    /// Also draws what is spent by round into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Prints one line of JSON.
    #[arg(long)]
    json: bool,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Line<'a> {
    job: &'a str,
    accountant_version: u32,
    #[serde(flatten)]
    plan: &'a PrivacyPlan,
}

impl Plan {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(in crate::cli) fn run(self) -> anyhow::Result<()> {
        let file = self.job.display();
        let text = fs::read_to_string(&self.job).with_context(|| format!("cannot read {file}"))?;
        let config = JobConfig::parse(&text).with_context(|| file.to_string())?;
        let terms = config.privacy.with_context(|| {
            format!(
                "{file}: expected a table [privacy.dp], found none: this job has no differential privacy; add for instance\n\n\
                 [privacy.dp]\nplacement = \"local\"  # or \"central\", or \"distributed\"\nepsilon = 4.0\ndelta = 1e-5\nclip = 1.0"
            )
        })?;
        let (name, rounds) = (config.plan.job().as_str(), config.plan.rounds());
        let plan = PrivacyPlan::new(&terms, rounds, self.units(&config, &terms))?;
        let curve = Curve::of(&plan);
        if let Some(picture) = &self.svg {
            let drawn = svg::Picture { job: name, curve: &curve }.to_string();
            fs::write(picture, drawn).with_context(|| format!("cannot write {}", picture.display()))?;
        }
        if self.json {
            let line = Line { job: name, accountant_version: terms.accountant().version(), plan: &plan };
            println!("{}", serde_json::to_string(&line)?);
            return Ok(());
        }
        println!("{}", Table { job: name, plan: &plan });
        print!("{}", plot::Plot(&curve));
        Ok(())
    }

    /// What a sum is over.
    fn units(&self, config: &JobConfig, terms: &PrivacyTerms) -> NonZeroU32 {
        if terms.unit() == PrivacyUnit::Record {
            return self.records;
        }
        let cohort = config.plan.cohort();
        let least = cohort.min_participants;
        let present = cohort.eligible.as_ref().map_or(0, std::collections::BTreeSet::len);
        let present = present.max(usize::try_from(least.get()).unwrap_or(usize::MAX));
        let asked = u32::try_from(cohort.selected(present)).ok().and_then(NonZeroU32::new);
        asked.unwrap_or(least)
    }
}
