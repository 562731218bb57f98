use std::path::PathBuf;

use anyhow::Context;
use federated_core::ids::ParticipantName;
use federated_server::identity::setup;

/// Take a participant's access away, at once.
#[derive(Debug, clap::Args)]
pub(super) struct Withdraw {
    /// The participant's name.
    name: ParticipantName,
    /// The coordinator's folder, the one that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

impl Withdraw {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let name = &self.name;
        let was_enrolled =
            setup::withdraw(&self.dir, name).with_context(|| format!("`{name}` cannot be withdrawn"))?;
        anyhow::ensure!(was_enrolled, "`{name}` is not enrolled in {}", self.dir.display());
        println!("{name} is withdrawn. To let it in again, enroll it: it then needs the new bundle.");
        Ok(())
    }
}
