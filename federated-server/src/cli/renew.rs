use std::{path::PathBuf, time::SystemTime};

use anyhow::Context;
use federated_server::identity::{Validity, setup};

/// Replace the server's and the operator's certificates before they expire.
#[derive(Debug, clap::Args)]
pub(super) struct Renew {
    /// The coordinator's folder, the one that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// A host that the new certificate shall name; may be given several times, the main one first. Default: the hosts
    /// of the present certificate.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// How long the new certificates are valid, in days.
    #[arg(long, default_value_t = Validity::LEAF_DAYS, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

impl Renew {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let renewal = setup::renew(&self.dir, &self.hosts, self.days, SystemTime::now())
            .with_context(|| format!("the certificates in {} cannot be renewed", self.dir.display()))?;
        println!("The server is now named {}.", renewal.hosts.join(", "));
        println!(
            "The certificates are valid until {}.",
            humantime::format_rfc3339_seconds(renewal.not_after)
        );
        println!(
            "A coordinator that runs takes them up when it is restarted. Participants need not do anything."
        );
        Ok(())
    }
}
