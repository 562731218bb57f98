use federated_core::{ids::JobName, model::ModelParameters};
use federated_proto::v1::{self, JobState, operation_client::OperationClient};
use federated_server::{
    config::OperatorConfig,
    operator::{OperatorClient, OperatorError},
};
use tokio_stream::StreamExt;
use tonic::transport::Channel;

use crate::{ClientTls, Job, within};

/// The operator of a federation.
#[derive(Debug)]
pub struct Operator {
    client: OperatorClient,
    config: OperatorConfig,
}

impl Operator {
    pub(crate) async fn connect(config: &OperatorConfig) -> Self {
        let client = within("an operator's connection", OperatorClient::connect(config)).await;
        Self { client: client.expect("the coordinator accepts its operator"), config: config.clone() }
    }

    /// The library's client.
    pub const fn client(&mut self) -> &mut OperatorClient {
        &mut self.client
    }

    /// A connection for calls that the library's client would not make.
    pub async fn raw(&self) -> OperationClient<Channel> {
        let (tls, port) = (&self.config.tls, self.config.address.port());
        let tls = ClientTls::from_files(&tls.ca, &tls.certificate, &tls.key);
        OperationClient::new(tls.channel(([127, 0, 0, 1], port).into()).await)
    }

    /// Starts a job.
    ///
    /// # Errors
    /// The coordinator's refusal.
    pub async fn try_start(&mut self, job: &Job) -> Result<JobName, OperatorError> {
        within("the start of a job", self.client.start(&job.to_toml(), &job.model)).await
    }

    /// Starts a job that should start.
    ///
    /// # Panics
    /// When the coordinator refuses.
    pub async fn start(&mut self, job: &Job) {
        self.try_start(job).await.expect("the job should start");
    }

    /// Waits until these participants are present, and nobody else.
    ///
    /// # Panics
    /// When they are not in time.
    pub async fn present(&mut self, names: &[&str]) {
        let mut reports = self.client.watch(None).await.expect("the status");
        let wait = async {
            while let Some(report) = reports.next().await {
                if report.expect("a report").present == names {
                    return;
                }
            }
            panic!("the status ended");
        };
        within(&format!("{names:?} to be present"), wait).await;
    }

    /// Waits until a job's status is as `wanted` says.
    ///
    /// # Panics
    /// When it is not in time; the message shows the last status.
    pub async fn until(&mut self, job: &str, wanted: impl Fn(&v1::JobStatus) -> bool) -> v1::JobStatus {
        let name: JobName = job.parse().expect("a name");
        let mut reports = self.client.watch(Some(&name)).await.expect("the status of the job");
        let mut last = None;
        let wait = async {
            while let Some(report) = reports.next().await {
                let status = report.expect("a report").jobs.remove(0);
                if wanted(&status) {
                    return status;
                }
                last = Some(status);
            }
            panic!("the status ended");
        };
        match tokio::time::timeout(crate::PATIENCE, wait).await {
            Ok(status) => status,
            Err(_) => panic!("the job did not get where it should: {last:#?}"),
        }
    }

    /// The status of a job now.
    ///
    /// # Panics
    /// When there is none.
    pub async fn status(&mut self, job: &str) -> v1::JobStatus {
        self.until(job, |_| true).await
    }

    /// Waits until a job has ended.
    pub async fn ended(&mut self, job: &str) -> v1::JobStatus {
        let ended = |state| matches!(state, JobState::Completed | JobState::Failed | JobState::Stopped);
        self.until(job, |status| ended(status.state())).await
    }

    /// Waits until a job has completed, and gives its status and model.
    ///
    /// # Panics
    /// When it ended otherwise, or the model is not what the status says.
    pub async fn completed(&mut self, job: &str) -> (v1::JobStatus, ModelParameters) {
        let status = self.ended(job).await;
        assert_eq!(status.state(), JobState::Completed, "{status:#?}");
        let model = status.model.clone().expect("a model");
        let model = within("the model", self.client.download(model)).await.expect("the model");
        (status, model)
    }
}
