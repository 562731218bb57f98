use std::path::PathBuf;

use clap::Args;
use federated_core::job::{Explanation, JobTerms};

use super::job_file::JobFile;

/// Says what a job will do, before it is started: who takes part, when a round ends, what travels.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The job file. The initial model is looked for beside it.
    job: PathBuf,
}

impl Explain {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let JobFile { config, model, .. } = JobFile::read(&self.job)?;
        let terms = JobTerms::new(config, model.layout().clone(), model.digest());
        print!("{}", Explanation(&terms));
        Ok(())
    }
}
