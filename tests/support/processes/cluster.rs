use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};
use federated_core::ids::TaskId;
use federated_server::{
    config::{CoordinatorConfig, OperatorConfig},
    identity::setup::{EnrollOptions, InitOptions, enroll, init},
    operator::OperatorClient,
};
use tempfile::TempDir;

use super::{Process, Program, Said, Serving, log};
use crate::spooled;

/// A coordinator as a process, with its folder, its authority and what its participants need.
///
/// The folder outlives the process, and goes with this value.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    program: Program,
    config: CoordinatorConfig,
    serving: Serving,
    coordinator: Option<Process>,
    standby: Option<Process>,
    starts: u32,
}

impl Cluster {
    /// Makes a folder in `dir`, or where the system has temporary files, and starts a coordinator on a port of the
    /// system's choice that serves so.
    ///
    /// # Errors
    /// When the folder cannot be made or the coordinator does not start.
    pub async fn start(program: Program, dir: Option<&Path>, serving: Serving) -> Result<Self> {
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
        let mut cluster =
            Self { folder, program, config, serving, coordinator: None, standby: None, starts: 0 };
        cluster.start_coordinator().await?;
        Ok(cluster)
    }

    /// Starts the coordinator again where it listened before; returns when it serves.
    ///
    /// # Errors
    /// When it runs, or does not start.
    pub async fn start_coordinator(&mut self) -> Result<()> {
        let mut process = self.coordinator_process()?;
        self.config.listen = process.line().await?.parse().context("where the coordinator listens")?;
        self.coordinator = Some(process);
        Ok(())
    }

    /// The same without waiting until it serves: `said` is given the line with which it says so, so that it can be killed
    /// before.
    ///
    /// # Errors
    /// When it runs, or cannot be started.
    pub fn begin_coordinator(&mut self, said: impl FnMut(Said) + Send + 'static) -> Result<()> {
        let mut process = self.coordinator_process()?;
        process.tell(said)?;
        self.coordinator = Some(process);
        Ok(())
    }

    /// Starts another coordinator on the same folder, which stands by while the first one lives.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn begin_standby(&mut self) -> Result<()> {
        self.standby = Some(self.another_process()?);
        Ok(())
    }

    /// The one that stood by is the coordinator now that the first one was killed; returns when it serves.
    ///
    /// # Errors
    /// When there is none, or it ends instead.
    pub async fn promote_standby(&mut self) -> Result<()> {
        let mut process = self.standby.take().context("no coordinator stands by")?;
        process.line().await?;
        self.coordinator = Some(process);
        Ok(())
    }

    fn coordinator_process(&mut self) -> Result<Process> {
        ensure!(self.coordinator.is_none(), "the coordinator runs already");
        self.another_process()
    }

    fn another_process(&mut self) -> Result<Process> {
        self.starts += 1;
        let folder = self.folder.path().join("coordinator").display().to_string();
        let mut arguments =
            vec!["coordinator".to_owned(), folder, "--listen".to_owned(), self.config.listen.to_string()];
        arguments.extend(self.serving.arguments());
        let program = match self.serving.most_files() {
            Some(most) => self.program.clone().open_files(most),
            None => self.program.clone(),
        };
        program.start(arguments, &self.coordinator_log())
    }

    /// The coordinator's process, when it was started and not killed.
    pub const fn coordinator(&mut self) -> Option<&mut Process> {
        self.coordinator.as_mut()
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
        self.log_of_start(self.starts)
    }

    fn log_of_start(&self, start: u32) -> PathBuf {
        self.folder.path().join(format!("coordinator-{start}.log"))
    }

    /// The bytes at which uploads went on, as every coordinator until now accepted them, in their order.
    ///
    /// # Errors
    /// When a log cannot be read, or has such a line without the number.
    pub fn resumed(&self) -> Result<Vec<u64>> {
        let logs = (1..=self.starts).map(|start| log::resumed(&self.log_of_start(start)));
        Ok(logs.collect::<Result<Vec<_>>>()?.concat())
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
        Ok(OperatorClient::connect(&self.operator_config()?).await?)
    }

    /// How the operator connects.
    ///
    /// # Errors
    /// When there is no such address.
    pub fn operator_config(&self) -> Result<OperatorConfig> {
        let address = format!("https://{}", self.address()).parse()?;
        Ok(OperatorConfig { address, ..self.config.operator.clone() })
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
        self.start_site("participant", name, &["--value".to_owned(), value.to_string()])
    }

    /// Starts a process whose role has this name and takes the folder of a participant's bundle, or starts it again. Its
    /// log goes on in the file of the one before.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_site(&self, role: &str, name: &str, arguments: &[String]) -> Result<Process> {
        let start = [role.to_owned(), self.bundle(name).display().to_string()];
        let log = self.folder.path().join(format!("{name}.log"));
        self.program.start(start.iter().chain(arguments), &log)
    }

    /// The folder of a participant's bundle.
    #[must_use]
    pub fn bundle(&self, name: &str) -> PathBuf {
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
