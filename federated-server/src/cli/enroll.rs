use std::{path::PathBuf, time::SystemTime};

use anyhow::Context;
use federated_core::ids::ParticipantName;
use federated_server::{
    config::CoordinatorAddress,
    identity::{
        Validity,
        setup::{self, EnrollOptions},
    },
};

/// Enroll a participant: write the bundle that its site needs.
#[derive(Debug, clap::Args)]
pub(super) struct Enroll {
    /// The participant's name: 1 to 63 characters from a-z, 0-9 and '-'.
    name: ParticipantName,
    /// The coordinator's folder, the one that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// The folder to make for the bundle. Default: the participant's name.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// How long the participant's certificate is valid, in days.
    #[arg(long, default_value_t = Validity::LEAF_DAYS, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Where the site reaches the coordinator. Default: the first host of the server's certificate, with the port
    /// of coordinator.toml.
    #[arg(long, value_name = "https://HOST:PORT")]
    address: Option<CoordinatorAddress>,
}

impl Enroll {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { name, dir, out, days, address } = self;
        let options = EnrollOptions { dir, name, out, address, days };
        let bundle = setup::enroll(&options, SystemTime::now())
            .with_context(|| format!("`{}` cannot be enrolled", options.name))?;
        let (name, folder) = (&options.name, bundle.folder.display());
        println!("{name} is enrolled. Its bundle is in {folder}/.");
        if bundle.replaced {
            println!("Its former certificate counts no more: the site must use this bundle.");
        }
        println!();
        println!("Next:");
        println!(
            "  1. Copy {folder}/ to the site over a channel that only the site can read, then delete it here."
        );
        println!("  2. There, look through participant.toml; it connects to {}.", bundle.address);
        println!("  3. There:  federated-client check, then federated-client run");
        println!();
        println!("The certificate is valid until {}.", humantime::format_rfc3339_seconds(bundle.not_after));
        Ok(())
    }
}
