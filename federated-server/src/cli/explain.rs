use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use federated_core::{
    config::JobConfig,
    job::{Explanation, JobTerms},
    model::from_safetensors,
};

/// Says what a job will do, before it is started: who takes part, when a round ends, what travels.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The job file. The initial model is looked for beside it.
    job: PathBuf,
}

impl Explain {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(&self.job)
            .with_context(|| format!("cannot read {}", self.job.display()))?;
        let config = JobConfig::parse(&text).with_context(|| self.job.display().to_string())?;
        let path = self.job.with_file_name("").join(&config.initial_model);
        let bytes =
            std::fs::read(&path).with_context(|| format!("model.initial: cannot read {}", path.display()))?;
        let model = from_safetensors(&bytes).with_context(|| path.display().to_string())?;
        let terms = JobTerms::new(config, model.layout().clone(), model.digest());
        print!("{}", Explanation(&terms));
        Ok(())
    }
}
