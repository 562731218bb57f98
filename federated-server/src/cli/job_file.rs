use std::path::Path;

use anyhow::Context;
use federated_core::{
    config::JobConfig,
    model::{ModelParameters, from_safetensors},
};

/// A job file with the initial model, which is looked for beside it.
#[derive(Debug)]
pub(super) struct JobFile {
    pub(super) text: String,
    pub(super) config: JobConfig,
    pub(super) model: ModelParameters,
}

impl JobFile {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let config = JobConfig::parse(&text).with_context(|| path.display().to_string())?;
        let path = path.with_file_name("").join(&config.initial_model);
        let bytes =
            std::fs::read(&path).with_context(|| format!("model.initial: cannot read {}", path.display()))?;
        let model = from_safetensors(&bytes).with_context(|| path.display().to_string())?;
        Ok(Self { text, config, model })
    }
}
