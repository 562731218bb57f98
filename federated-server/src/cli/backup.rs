use std::path::PathBuf;

use clap::Args;
use federated_server::{
    backup::{self, Copied},
    config::CoordinatorConfig,
};

/// Copies jobs, models, finished updates and privacy ledgers into a new folder, also while the coordinator runs.
///
/// Certificates, keys and the roster are not in it: keep copies of the coordinator's folder for these.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The folder to make.
    to: PathBuf,
    /// The folder that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

/// Puts a backup back as the state of a coordinator that has none, and that does not run.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The folder that `backup` made.
    from: PathBuf,
    /// The folder that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

impl Backup {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = CoordinatorConfig::in_dir(&self.dir)?;
        let copied = super::runtime()?.block_on(backup::backup(&config, &self.to))?;
        report(copied, &format!("copied to {}", self.to.display()));
        Ok(())
    }
}

impl Restore {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = CoordinatorConfig::in_dir(&self.dir)?;
        let copied = super::runtime()?.block_on(backup::restore(&config, &self.from))?;
        report(copied, &format!("restored to {}", config.state.display()));
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "a command says what it did")]
fn report(Copied { jobs, models, updates, ledgers, .. }: Copied, done: &str) {
    println!("{done}: {jobs} jobs, {models} models, {updates} updates, each compared with its digest");
    if ledgers > 0 {
        println!("and {ledgers} privacy ledgers");
    }
}
