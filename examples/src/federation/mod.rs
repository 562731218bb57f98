//! A federation on this machine: a coordinator and participants, each a process of its own, over mutual TLS.
//!
//! An example's program starts itself again for each of them, as a `child`: the `coordinator` is the same for all
//! examples, what a participant does is the example's own.

mod child;
mod coordinator;

use std::{fs, path::Path, time::SystemTime};

use anyhow::{Context, Result, bail, ensure};
use federated_core::{ids::ParticipantName, model::ModelParameters};
use federated_proto::v1::{JobState, JobStatus};
use federated_server::{
    config::OperatorConfig,
    identity::{
        make_signing_key,
        setup::{EnrollOptions, InitOptions, enroll, init},
    },
    operator::OperatorClient,
};
use futures::future::select_all;
use tempfile::TempDir;
use tokio_stream::StreamExt;

use child::ChildProcess;
pub(crate) use child::parent_is_done;
pub(crate) use coordinator::run as run_coordinator;

/// Days that the throw-away certificates are valid.
const DAYS: u32 = 1;

/// A coordinator and its participants, and the operator's connection to the coordinator.
///
/// Certificates, keys and state lie in a temporary folder that goes with this value.
#[derive(Debug)]
pub(crate) struct Federation {
    operator: OperatorClient,
    // Before the folder: they use it until they end.
    processes: Vec<ChildProcess>,
    folder: TempDir,
}

/// Gives the coordinator a key to sign with: the ledgers of jobs with differential privacy, and results of secure aggregation.
fn sign(coordinator: &Path) -> Result<()> {
    make_signing_key(&coordinator.join("signing.key"))?;
    let file = coordinator.join("coordinator.toml");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let signing = text.replace("# signing_key = ", "signing_key = ");
    ensure!(signing != text, "{}: expected the setting signing_key in a comment", file.display());
    fs::write(&file, signing).with_context(|| file.display().to_string())
}

/// A job that is done.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its last model.
    pub(crate) model: ModelParameters,
    /// Its last report.
    pub(crate) status: JobStatus,
}

/// A participant that is killed (SIGKILL) once in a job, and started again at once.
pub(crate) struct Kill<'a> {
    /// Its place among the participants.
    pub(crate) place: usize,
    /// Whether the coordinator is far enough. The participant's process says so with a line on its standard output.
    pub(crate) is_due: &'a dyn Fn(&JobStatus) -> bool,
}

impl Federation {
    /// Makes an authority, enrols the participants and starts all processes.
    ///
    /// `furnish` is told a participant and its folder, in which its bundle lies: it puts the participant's data there
    /// and gives the arguments of the participant's process. That of the coordinator gets `coordinator FOLDER`.
    pub(crate) async fn start(
        example: &str,
        participants: &[ParticipantName],
        mut furnish: impl FnMut(&ParticipantName, &Path) -> Result<Vec<String>>,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("federated-{example}-"))
            .tempdir()
            .context("a temporary folder")?;
        let path = folder.path();
        let coordinator_dir = path.join("coordinator");
        let options = InitOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            days: DAYS,
            ..InitOptions::new(&coordinator_dir)
        };
        let config = init(&options, SystemTime::now())?;
        sign(&coordinator_dir)?;

        let arguments = ["coordinator".to_owned(), coordinator_dir.display().to_string()];
        let mut coordinator = ChildProcess::start("coordinator", &arguments, path)?;
        let address = format!("https://{}", coordinator.ready().await?);
        let mut processes = vec![coordinator];

        for participant in participants {
            let bundle = path.join(participant.as_str());
            let options = EnrollOptions {
                out: Some(bundle.clone()),
                address: Some(address.parse()?),
                days: DAYS,
                ..EnrollOptions::new(&coordinator_dir, participant.clone())
            };
            enroll(&options, SystemTime::now())?;
            let arguments = furnish(participant, &bundle)?;
            processes.push(ChildProcess::start(participant.as_str(), &arguments, path)?);
        }
        let operator = OperatorConfig { address: address.parse()?, ..config.operator };
        let operator = OperatorClient::connect(&operator).await?;
        Ok(Self { operator, processes, folder })
    }

    /// Runs a job to its end; `watch` is told of every change, and may ask the coordinator for more.
    pub(crate) async fn run(
        &mut self,
        job_toml: &str,
        initial: &ModelParameters,
        watch: impl AsyncFnMut(&mut OperatorClient, &JobStatus),
    ) -> Result<Finished> {
        self.run_with_kill(job_toml, initial, watch, None).await
    }

    /// The same, while a participant is killed and started again.
    pub(crate) async fn run_with_kill(
        &mut self,
        job_toml: &str,
        initial: &ModelParameters,
        mut watch: impl AsyncFnMut(&mut OperatorClient, &JobStatus),
        mut kill: Option<Kill<'_>>,
    ) -> Result<Finished> {
        let job = self.operator.start(job_toml, initial).await?;
        let mut reports = self.operator.watch(Some(&job)).await?;
        let last = loop {
            let ended = self.processes.iter_mut().map(|process| Box::pin(process.ended()));
            let report = tokio::select! {
                report = reports.next() => report,
                (error, ..) = select_all(ended) => return Err(error),
            };
            let report = report.context("the coordinator ended the report before the job ended")??;
            let Some(status) = report.jobs.into_iter().next() else { continue };
            watch(&mut self.operator, &status).await;
            if let Some(Kill { place, .. }) = kill.take_if(|kill| (kill.is_due)(&status)) {
                let process = self.participant(place)?;
                process.ready().await?;
                process.kill().await?;
                process.start_again()?;
            }
            match status.state() {
                JobState::Completed => break status,
                JobState::Failed | JobState::Stopped => {
                    bail!("the job {job} did not complete: {}", status.message)
                }
                _ => {}
            }
        };
        ensure!(kill.is_none(), "the job {job} ended before a participant could be killed");
        let model = last.model.clone().context("a job has a model")?;
        Ok(Finished { model: self.operator.download(model).await?, status: last })
    }

    /// Where everyone's folder is, for as long as this value lives.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The operator's connection.
    pub(crate) fn operator(&self) -> OperatorClient {
        self.operator.clone()
    }

    /// The process of the participant at this place, in the order in which they were given.
    pub(crate) fn participant(&mut self, place: usize) -> Result<&mut ChildProcess> {
        self.processes.get_mut(place + 1).with_context(|| format!("there is no participant {place}"))
    }

    /// Ends all processes, the coordinator last.
    pub(crate) async fn stop(self) -> Result<()> {
        let Self { operator, processes, folder: _folder } = self;
        // An open call would hold up the coordinator's end.
        drop(operator);
        let mut all = Ok(());
        for process in processes.into_iter().rev() {
            all = all.and(process.stop().await);
        }
        all
    }
}
