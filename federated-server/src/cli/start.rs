use std::path::PathBuf;

use clap::Args;

use super::{job_file::JobFile, operate::Connection};

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
        let JobFile { text, model, .. } = JobFile::read(&self.job)?;
        let job = super::runtime()?
            .block_on(async { anyhow::Ok(self.connection.open().await?.start(&text, &model).await?) })?;
        println!("started {job}; `federated-coordinator status --watch` shows how it goes");
        Ok(())
    }
}
