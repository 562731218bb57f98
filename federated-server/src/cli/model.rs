use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use federated_core::{ids::JobName, model::to_safetensors};

use super::operate::Connection;

/// Saves a job's newest model as a safetensors file.
#[derive(Debug, Args)]
pub(super) struct Model {
    /// The job's name.
    job: JobName,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

impl Model {
    #[expect(clippy::print_stdout, reason = "a command says what it did")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let model = super::runtime()?.block_on(async {
            let mut operator = self.connection.open().await?;
            let report = operator.status(Some(&self.job)).await?;
            let newest = report.jobs.into_iter().next().and_then(|job| job.model);
            anyhow::Ok(operator.download(newest.context("the coordinator names no model")?).await?)
        })?;
        std::fs::write(&self.out, to_safetensors(&model)?)
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        println!("{} is in {}", model.digest(), self.out.display());
        Ok(())
    }
}
