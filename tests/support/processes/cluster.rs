use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};
use federated_core::ids::TaskId;
use federated_server::{
    config::{ChunkSize, CoordinatorConfig, OperatorConfig},
    identity::setup::{EnrollOptions, InitOptions, enroll, init},
    operator::OperatorClient,
};
use tempfile::TempDir;

use super::{Process, Program};
use crate::spooled;

/// A coordinator as a process, with its folder, its authority and what its participants need.
///
/// The folder outlives the process, and goes with this value.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    program: Program,
    config: CoordinatorConfig,
    chunk: ChunkSize,
    coordinator: Option<Process>,
    starts: u32,
}

impl Cluster {
    /// Makes a folder in `dir`, or where the system has temporary files, and starts a coordinator on a port of the
    /// system's choice whose messages carry `chunk` of content.
    ///
    /// # Errors
    /// When the folder cannot be made or the coordinator does not start.
    pub async fn start(program: Program, dir: Option<&Path>, chunk: ChunkSize) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("federated-cluster-");
        let folder = match dir {
            Some(dir) => builder.tempdir_in(dir).with_context(|| dir.display().to_string())?,
            None => builder.tempdir().context("a temporary folder")?,
        };
        let options = InitOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            ..InitOptions::new(folder.path().join("coordinator"))
        };
        let config = init(&options, SystemTime::now())?;
        let mut cluster = Self { folder, program, config, chunk, coordinator: None, starts: 0 };
        cluster.start_coordinator().await?;
        Ok(cluster)
    }

    /// Starts the coordinator again where it listened before; returns when it serves.
    ///
    /// # Errors
    /// When it runs, or does not start.
    pub async fn start_coordinator(&mut self) -> Result<()> {
        ensure!(self.coordinator.is_none(), "the coordinator runs already");
        self.starts += 1;
        let folder = self.folder.path().join("coordinator").display().to_string();
        let (listen, chunk) = (self.config.listen.to_string(), self.chunk.bytes().to_string());
        let arguments = ["coordinator", &folder, "--listen", &listen, "--chunk", &chunk];
        let mut process = self.program.start(arguments, &self.coordinator_log())?;
        self.config.listen = process.line().await?.parse().context("where the coordinator listens")?;
        self.coordinator = Some(process);
        Ok(())
    }

    /// Kills the coordinator with SIGKILL; returns when it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill_coordinator(&mut self) -> Result<()> {
        self.coordinator.take().context("the coordinator does not run")?.kill().await
    }

    /// The log of the coordinator that was started last.
    #[must_use]
    pub fn coordinator_log(&self) -> PathBuf {
        self.folder.path().join(format!("coordinator-{}.log", self.starts))
    }

    /// Where the coordinator listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.config.listen
    }

    /// Connects as the operator.
    ///
    /// # Errors
    /// When the coordinator does not answer.
    pub async fn operator(&self) -> Result<OperatorClient> {
        let address = format!("https://{}", self.address()).parse()?;
        let config = OperatorConfig { address, ..self.config.operator.clone() };
        Ok(OperatorClient::connect(&config).await?)
    }

    /// Enrolls a participant that finds the coordinator at `url`, for instance behind a relay.
    ///
    /// # Errors
    /// When it cannot be enrolled.
    pub fn enroll(&self, name: &str, url: &str) -> Result<()> {
        let options = EnrollOptions {
            out: Some(self.bundle(name)),
            address: Some(url.parse()?),
            ..EnrollOptions::new(self.folder.path().join("coordinator"), name.parse()?)
        };
        enroll(&options, SystemTime::now())?;
        Ok(())
    }

    /// Starts an enrolled participant, or starts it again; its training adds `value`. It ends by itself when a job ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_participant(&self, name: &str, value: f32) -> Result<Process> {
        let (bundle, value) = (self.bundle(name).display().to_string(), value.to_string());
        let arguments = ["participant", &bundle, "--value", &value];
        self.program.start(arguments, &self.folder.path().join(format!("{name}.log")))
    }

    fn bundle(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("bundle-{name}"))
    }

    /// How many bytes of an unfinished upload are durable at the coordinator, which need not run.
    #[must_use]
    pub fn durable(&self, task: &TaskId, participant: &str) -> u64 {
        let attempt = format!("updates/{}/{}-{}", task.job, task.round, task.attempt);
        let file = self.config.state.join(attempt).join(format!("{participant}.part"));
        spooled::received(&file)
    }
}
