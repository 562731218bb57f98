use std::{fs, path::Path, time::SystemTime};

use anyhow::{Context, Result, bail};
use federated_client::device::Device;
use federated_core::{ids::JobName, model::ModelParameters};
use federated_proto::v1::{JobState, JobStatus};
use federated_server::{
    config::OperatorConfig,
    identity::setup::{EnrollOptions, InitOptions, enroll, init},
    operator::OperatorClient,
};
use futures::future::select_all;
use tempfile::TempDir;
use tokio_stream::StreamExt;

use crate::hospitals::{
    child::ChildProcess,
    hospital::Hospital,
    participant::{Participant, RECORDS},
    split::Split,
};

/// Days that the throw-away certificates are valid.
const DAYS: u32 = 1;

/// A coordinator and four hospitals, each a process of its own, and the operator's connection to the coordinator.
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
    /// Makes an authority, enrols the hospitals and starts the five processes.
    pub(crate) async fn start(split: Split, device: Device) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("federated-hospitals-")
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

        for hospital in Hospital::ALL {
            let bundle = path.join(hospital.name());
            let options = EnrollOptions {
                out: Some(bundle.clone()),
                address: Some(address.parse()?),
                days: DAYS,
                ..EnrollOptions::new(&coordinator_dir, hospital.participant()?)
            };
            enroll(&options, SystemTime::now())?;
            processes.push(start_hospital(hospital, &bundle, split, device, path)?);
        }
        let operator = OperatorConfig { address: address.parse()?, ..config.operator };
        let operator = OperatorClient::connect(&operator).await?;
        Ok(Self { operator, processes, _folder: folder })
    }

    /// Runs a job to its end; `watch` is told of every change.
    pub(crate) async fn run(
        &mut self,
        job_toml: &str,
        initial: &ModelParameters,
        watch: impl FnMut(&JobStatus),
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

    /// Ends all processes, the hospitals first.
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

/// A hospital's process: its bundle and its patients' file are all it gets.
fn start_hospital(
    hospital: Hospital,
    bundle: &Path,
    split: Split,
    device: Device,
    logs: &Path,
) -> Result<ChildProcess> {
    fs::write(bundle.join(RECORDS), hospital.records(split)).context("the patients' file")?;
    ChildProcess::start(hospital.name(), &Participant::arguments(bundle, split, device), logs)
}

/// Waits for the end of a job: its last status, if it is completed.
async fn follow(
    operator: &mut OperatorClient,
    job: &JobName,
    mut watch: impl FnMut(&JobStatus),
) -> Result<JobStatus> {
    let mut reports = operator.watch(Some(job)).await?;
    while let Some(report) = reports.next().await {
        let Some(status) = report?.jobs.into_iter().next() else { continue };
        watch(&status);
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
