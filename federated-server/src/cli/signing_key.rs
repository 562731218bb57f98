use std::path::PathBuf;

use clap::Args;
use federated_server::{
    config::CoordinatorConfig,
    identity::{load_signing_key, make_signing_key},
};

/// Makes the coordinator's long-lived signing key where there is none, and prints its public half for the participants.
#[derive(Debug, Args)]
pub(super) struct SigningKey {
    /// The coordinator's folder, the one that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

impl SigningKey {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let configured = CoordinatorConfig::in_dir(&self.dir)?.signing_key;
        let file = configured.clone().unwrap_or_else(|| self.dir.join("signing.key"));
        let public = if file.exists() { load_signing_key(&file)?.public() } else { make_signing_key(&file)? };
        println!("{public}");
        if configured.is_none() {
            tracing::warn!(
                "the coordinator does not use the key yet: write `signing_key = \"signing.key\"` at the top of coordinator.toml and restart it"
            );
        }
        Ok(())
    }
}
