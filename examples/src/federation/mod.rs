//! A federation on this machine: a coordinator and participants, each a process of its own, over mutual TLS.
//!
//! An example's program starts itself again for each of them, as a `child`: the `coordinator` is the same for all
//! examples, what a participant does is the example's own.

mod child;
mod coordinator;

use std::{path::Path, time::SystemTime};

use anyhow::{Context, Result, bail};
use federated_core::{
    ids::{JobName, ParticipantName},
    model::ModelParameters,
};
use federated_proto::v1::{JobState, JobStatus};
use federated_server::{
    config::OperatorConfig,
    identity::setup::{EnrollOptions, InitOptions, enroll, init},
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
    _folder: TempDir,
}

/// A job that is done.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its last model.
    pub(crate) model: ModelParameters,
    /// Bytes of updates received by the coordinator.
    pub(crate) bytes_up: u64,
    /// Bytes of models sent by it.
    pub(crate) bytes_down: u64,
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
        Ok(Self { operator, processes, _folder: folder })
    }

    /// Runs a job to its end; `watch` is told of every change, and may ask the coordinator for more.
    pub(crate) async fn run(
        &mut self,
        job_toml: &str,
        initial: &ModelParameters,
        watch: impl AsyncFnMut(&mut OperatorClient, &JobStatus),
    ) -> Result<Finished> {
        let job = self.operator.start(job_toml, initial).await?;
        let ended = self.processes.iter_mut().map(|process| Box::pin(process.ended()));
        let last = tokio::select! {
            last = follow(&mut self.operator, &job, watch) => last?,
            (error, ..) = select_all(ended) => return Err(error),
        };
        let model = last.model.context("a job has a model")?;
        Ok(Finished {
            model: self.operator.download(model).await?,
            bytes_up: last.bytes_up,
            bytes_down: last.bytes_down,
        })
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
        let Self { operator, processes, _folder } = self;
        // An open call would hold up the coordinator's end.
        drop(operator);
        let mut all = Ok(());
        for process in processes.into_iter().rev() {
            all = all.and(process.stop().await);
        }
        all
    }
}

/// Waits for the end of a job: its last status, if it is completed.
async fn follow(
    operator: &mut OperatorClient,
    job: &JobName,
    mut watch: impl AsyncFnMut(&mut OperatorClient, &JobStatus),
) -> Result<JobStatus> {
    let mut reports = operator.watch(Some(job)).await?;
    while let Some(report) = reports.next().await {
        let Some(status) = report?.jobs.into_iter().next() else { continue };
        watch(operator, &status).await;
        match status.state() {
            JobState::Completed => return Ok(status),
            JobState::Failed | JobState::Stopped => {
                bail!("the job {job} did not complete: {}", status.message)
            }
            _ => {}
        }
    }
    bail!("the coordinator ended the report on {job} before the job ended")
}
