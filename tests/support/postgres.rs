use std::{
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command as Blocking, Stdio},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// What a server prints when it serves.
const READY: &str = "database system is ready to accept connections";
/// Where Debian keeps the programs, in a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The user `nobody`: the programs refuse to run as root.
const NOBODY: u32 = 65_534;

/// A PostgreSQL server of its own, without a network: it is reached through a socket in its folder, and goes with this
/// value. It syncs what it commits, as it does in earnest.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    _server: Child,
}

impl Postgres {
    /// Starts a server; `None` where PostgreSQL is not installed.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub async fn start() -> Result<Option<Self>> {
        let Some(programs) = programs() else { return Ok(None) };
        let folder =
            tempfile::Builder::new().prefix("federated-pg-").tempdir().context("a temporary folder")?;
        let (root, data) = (is_root(folder.path())?, folder.path().join("data"));
        if root {
            chown(folder.path(), Some(NOBODY), None).context("a folder for the user nobody")?;
        }
        let run = |program: &str| {
            let mut command = Blocking::new(programs.join(program));
            command.current_dir(folder.path()).stdin(Stdio::null());
            if root {
                command.uid(NOBODY);
            }
            command
        };
        let mut initialise = run("initdb");
        initialise.arg("-D").arg(&data).args([
            "-U",
            "federated",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]);
        let made = initialise.output().context("initdb")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut serve = run("postgres");
        serve.arg("-D").arg(&data).args(["-c", "listen_addresses=", "-k"]).arg(folder.path());
        let mut server =
            Command::from(serve).stderr(Stdio::piped()).kill_on_drop(true).spawn().context("postgres")?;
        let mut lines = BufReader::new(server.stderr.take().context("the server's output")?).lines();
        loop {
            let line = lines.next_line().await?.context("the database server ended before it served")?;
            if line.contains(READY) {
                break;
            }
        }
        // Somebody has to read on, or the server waits.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Some(Self { folder, _server: server }))
    }

    /// The address of its database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://federated@localhost/postgres?host={}", self.folder.path().display())
    }
}

/// Where the server's programs are.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions =
        std::fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    std::env::split_paths(&path).chain(versions).find(|folder| folder.join("initdb").is_file())
}

/// Whether this process is root: what it makes belongs to it.
fn is_root(made: &Path) -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(made).context("a temporary folder")?.uid() == 0)
}
