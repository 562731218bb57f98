use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use federated_core::{config::JobConfig, model::from_safetensors};

use super::operate::Connection;

/// Starts a job.
#[derive(Debug, Args)]
pub(super) struct Start {
    /// The job file. The initial model is looked for beside it.
    job: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

impl Start {
    #[expect(clippy::print_stdout, reason = "a command says what it did")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(&self.job)
            .with_context(|| format!("cannot read {}", self.job.display()))?;
        let config = JobConfig::parse(&text).with_context(|| self.job.display().to_string())?;
        let path = self.job.with_file_name("").join(&config.initial_model);
        let bytes =
            std::fs::read(&path).with_context(|| format!("model.initial: cannot read {}", path.display()))?;
        let model = from_safetensors(&bytes).with_context(|| path.display().to_string())?;
        let job = super::runtime()?
            .block_on(async { anyhow::Ok(self.connection.open().await?.start(&text, &model).await?) })?;
        println!("started {job}; `federated-coordinator status --watch` shows how it goes");
        Ok(())
    }
}
