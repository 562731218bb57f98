use std::{fs, path::PathBuf, time::SystemTime};

use anyhow::Context;
use clap::Args;
use federated_core::{
    ids::JobName,
    privacy::dp::report::{Page, PrivacyReport},
};
use federated_server::{backup, config::CoordinatorConfig};

use crate::cli::{ledger::Found, runtime};

/// Says what a job promised about privacy, what it spent, who saw what, and what is not covered.
///
/// It is made of the job's log and of its ledger, of which every line is checked. The coordinator may run meanwhile.
#[derive(Debug, Args)]
pub(in crate::cli) struct Report {
    /// The job's name.
    job: JobName,
    /// The folder that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Writes a page for people into this file, too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Prints one line of JSON.
    #[arg(long)]
    json: bool,
}

impl Report {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(in crate::cli) fn run(self) -> anyhow::Result<()> {
        let Self { job: name, dir, html, json } = self;
        let config = CoordinatorConfig::in_dir(&dir)?;
        let jobs = runtime()?.block_on(backup::jobs(&config))?;
        let job = jobs.into_iter().find(|job| *job.name() == name);
        let job = job.with_context(|| {
            format!("expected a job `{name}`, found none in the journal: it was not started, or has been forgotten")
        })?;
        let facts = job.privacy_facts().with_context(|| {
            format!("job `{name}`: expected a table [privacy.dp], found none: nothing is promised, and all updates are as they are")
        })?;
        // Read after the log, so that it knows at least of all that the log speaks of.
        let Found { ledger, key, .. } = Found::of(&dir, &name)?;
        let report = PrivacyReport::of_job(facts, &ledger, &key, SystemTime::now().into())?;
        if let Some(file) = html {
            fs::write(&file, Page(&report).to_string())
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        if json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            print!("{report}");
        }
        Ok(())
    }
}
