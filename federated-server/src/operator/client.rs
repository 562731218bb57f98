use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use federated_core::{config::JobConfig, ids::JobName, model::ModelParameters};
use federated_proto::{
    WireError,
    chunk::{ChunkSequence, DEFAULT_CHUNK_BYTES, split},
    convert::ModelContent,
    details::{PlainChannel, plain},
    v1::{self, operation_client::OperationClient, start_job_request::Part},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Endpoint, Uri};

use super::OperatorError;
use crate::{config::OperatorConfig, identity::tls};

/// Largest message: a chunk and its frame, or a long history.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// An operator's connection to a coordinator.
#[derive(Clone, Debug)]
pub struct OperatorClient {
    client: OperationClient<PlainChannel>,
}

impl OperatorClient {
    /// Connects with the operator's certificate.
    ///
    /// # Errors
    /// [`OperatorError`] when the files cannot be used or the coordinator cannot be reached.
    pub async fn connect(config: &OperatorConfig) -> Result<Self, OperatorError> {
        let tls = TlsConnector::from(tls::client_config(&config.tls, SystemTime::now())?);
        let unreachable =
            |detail: String| OperatorError::Unreachable { address: config.address.to_string(), detail };
        let host = config.address.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let (port, name) = (config.address.port(), ServerName::try_from(host.clone()));
        let name = Arc::new(name.map_err(|error| unreachable(error.to_string()))?);
        let connector = tower::service_fn(move |_: Uri| {
            let (tls, host, name) = (tls.clone(), host.clone(), Arc::clone(&name));
            async move {
                let stream = TcpStream::connect((host.as_str(), port)).await?;
                stream.set_nodelay(true)?;
                Ok::<_, std::io::Error>(TokioIo::new(tls.connect(name.as_ref().clone(), stream).await?))
            }
        });
        let endpoint = Endpoint::from_shared(config.address.to_string());
        let endpoint = endpoint.map_err(|error| unreachable(error.to_string()))?;
        let channel = endpoint
            .initial_stream_window_size(16 << 20)
            .initial_connection_window_size(32 << 20)
            .connect_with_connector(connector)
            .await
            .map_err(|error| unreachable(innermost(&error)))?;
        Ok(Self { client: OperationClient::new(plain(channel)).max_decoding_message_size(MAX_MESSAGE_BYTES) })
    }

    /// Starts a job: `job_toml` is the job file's text, `model` the initial model.
    ///
    /// # Errors
    /// [`OperatorError`] when the file has a mistake or the coordinator refuses.
    pub async fn start(&mut self, job_toml: &str, model: &ModelParameters) -> Result<JobName, OperatorError> {
        let config = JobConfig::parse(job_toml)?;
        let content = ModelContent { layout: model.layout().clone(), digest: model.digest() };
        let header = v1::StartJobHeader { job_toml: job_toml.to_owned(), model: Some((&content).into()) };
        let chunks = split(Bytes::from(model.to_le_bytes()), 0, DEFAULT_CHUNK_BYTES).map(Part::Chunk);
        let parts = std::iter::once(Part::Header(header)).chain(chunks);
        let messages = parts.map(|part| v1::StartJobRequest { part: Some(part) });
        self.client.start_job(tokio_stream::iter(messages.collect::<Vec<_>>())).await?;
        Ok(config.plan.job().clone())
    }

    /// How the coordinator is, with one job or all of them.
    ///
    /// # Errors
    /// [`OperatorError`] when the coordinator refuses or the connection fails.
    pub async fn status(&mut self, job: Option<&JobName>) -> Result<v1::StatusReport, OperatorError> {
        Ok(self.client.get_status(request(job)).await?.into_inner())
    }

    /// The status now and after every change.
    ///
    /// # Errors
    /// As [`OperatorClient::status`].
    pub async fn watch(
        &mut self,
        job: Option<&JobName>,
    ) -> Result<impl Stream<Item = Result<v1::StatusReport, OperatorError>> + Unpin + use<>, OperatorError>
    {
        let reports = self.client.watch_status(request(job)).await?.into_inner();
        Ok(reports.map(|report| report.map_err(OperatorError::from)))
    }

    /// Ends a job early.
    ///
    /// # Errors
    /// [`OperatorError`] when there is no such job, it has ended, or the connection fails.
    pub async fn stop(&mut self, job: &JobName) -> Result<(), OperatorError> {
        self.client.stop_job(v1::StopJobRequest { job: job.to_string() }).await?;
        Ok(())
    }

    /// Begins no further round of a job until it is resumed.
    ///
    /// # Errors
    /// As [`OperatorClient::stop`].
    pub async fn pause(&mut self, job: &JobName) -> Result<(), OperatorError> {
        self.client.pause_job(v1::PauseJobRequest { job: job.to_string() }).await?;
        Ok(())
    }

    /// Goes on with a job after a pause.
    ///
    /// # Errors
    /// [`OperatorError`] when there is no such job, it is not paused, or the connection fails.
    pub async fn resume(&mut self, job: &JobName) -> Result<(), OperatorError> {
        self.client.resume_job(v1::ResumeJobRequest { job: job.to_string() }).await?;
        Ok(())
    }

    /// Goes on with a job that failed or was stopped.
    ///
    /// # Errors
    /// [`OperatorError`] when there is no such job, it did neither, or the connection fails.
    pub async fn retry(&mut self, job: &JobName) -> Result<(), OperatorError> {
        self.client.retry_job(v1::RetryJobRequest { job: job.to_string() }).await?;
        Ok(())
    }

    /// Downloads a model that a status names.
    ///
    /// # Errors
    /// [`OperatorError`] when there is no such model, or what comes is not it.
    pub async fn download(&mut self, model: v1::ModelRef) -> Result<ModelParameters, OperatorError> {
        let content = ModelContent::try_from(model)?;
        let digest = Bytes::copy_from_slice(content.digest.as_bytes());
        let request = v1::FetchModelRequest { digest, offset: 0 };
        let mut stream = self.client.download_model(request).await?.into_inner();
        let mut sequence = ChunkSequence::new(0, content.layout.bytes());
        let mut bytes = Vec::new();
        while let Some(response) = stream.next().await {
            let chunk = response?.chunk.ok_or(WireError::Missing { field: "chunk" })?;
            bytes.extend_from_slice(&sequence.accept(chunk)?);
        }
        sequence.finish()?;
        let model = ModelParameters::from_le_bytes(content.layout, &bytes)?;
        let (expected, found) = (content.digest, model.digest());
        if found == expected { Ok(model) } else { Err(WireError::DigestMismatch { expected, found }.into()) }
    }
}

fn request(job: Option<&JobName>) -> v1::GetStatusRequest {
    v1::GetStatusRequest { job: job.map_or_else(String::new, ToString::to_string) }
}

/// The last error of a chain: the reason, without the layers that passed it on.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
