use std::{fs, net::SocketAddr, path::PathBuf, time::SystemTime};

use anyhow::Context;
use federated_server::identity::{
    Validity,
    setup::{self, InitOptions},
};

/// Make a coordinator's folder: certificates, an empty roster and an annotated coordinator.toml.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// The folder to make.
    dir: PathBuf,
    /// A DNS name or IP address under which participants reach the coordinator; may be given several times, the
    /// main one first. localhost and 127.0.0.1 are added. Default: the name of this machine.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// The IP address and port where the coordinator accepts connections.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// How long the server's and the operator's certificates are valid, in days.
    #[arg(long, default_value_t = Validity::LEAF_DAYS, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

impl Init {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let hosts = if self.hosts.is_empty() { machine_name().into_iter().collect() } else { self.hosts };
        let options = InitOptions { dir: self.dir, hosts, listen: self.listen, days: self.days };
        setup::init(&options, SystemTime::now())
            .with_context(|| format!("{} cannot be made a coordinator's folder", options.dir.display()))?;
        let dir = options.dir.display();
        println!("{dir} is ready.");
        println!();
        println!("Next:");
        println!("  1. Look through {dir}/coordinator.toml.");
        println!("  2. Enroll each participant:  federated-coordinator enroll NAME --dir {dir}");
        println!("  3. Serve:                    federated-coordinator serve --dir {dir}");
        println!();
        println!("Keep {dir}/ca/ca.key secret: whoever has it can become any participant.");
        Ok(())
    }
}

/// The name of this machine, where it has one that a certificate can carry.
fn machine_name() -> Option<String> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = files.iter().find_map(|file| fs::read_to_string(file).ok())?;
    let name = name.trim().to_ascii_lowercase();
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (!name.is_empty() && name.len() <= 253 && name.bytes().all(valid)).then_some(name)
}
