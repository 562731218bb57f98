use clap::Args;
use federated_core::ids::JobName;

use super::operate::Connection;

/// Ends a job early; its newest model stays.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// The job's name.
    job: JobName,
    #[command(flatten)]
    connection: Connection,
}

impl Stop {
    #[expect(clippy::print_stdout, reason = "a command says what it did")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::runtime()?
            .block_on(async { anyhow::Ok(self.connection.open().await?.stop(&self.job).await?) })?;
        println!("stopped {}", self.job);
        Ok(())
    }
}
