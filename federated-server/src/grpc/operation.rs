use std::{pin::Pin, sync::Arc};

use federated_core::{config::JobConfig, ids::JobName};
use federated_proto::{
    WireError,
    chunk::ChunkSequence,
    convert::ModelContent,
    refusal,
    service::operation_server,
    v1::{self, start_job_request::Part},
};
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};
use tonic::{Request, Response, Status, Streaming};

use super::{Services, invalid, peer, refused};
use crate::coordinator::Order;

/// Longest job file, in bytes.
const MAX_JOB_BYTES: usize = 1 << 20;

/// The service for operators.
#[derive(Debug)]
pub(super) struct Operation {
    services: Services,
}

impl Operation {
    pub(super) const fn new(services: Services) -> Self {
        Self { services }
    }

    async fn start(&self, mut stream: Streaming<v1::StartJobRequest>) -> Result<JobName, Status> {
        let header = match stream.message().await?.and_then(|message| message.part) {
            Some(Part::Header(header)) => header,
            Some(Part::Chunk(_)) => return Err(unexpected("a header as the first message", "a chunk")),
            None => return Err(unexpected("a header as the first message", "nothing")),
        };
        let (config, model) = self.checked(header)?;
        let job = config.plan.job().clone();
        let (store, name) = (Arc::clone(&self.services.store), job.to_string());
        let files = &self.services.files;
        let mut writer = files.clone().run(move || store.new_model(&name)).await?;
        let mut sequence = ChunkSequence::new(0, model.layout.bytes());
        while let Some(message) = stream.message().await? {
            let Some(Part::Chunk(chunk)) = message.part else {
                return Err(unexpected("a chunk", "another message"));
            };
            let data = sequence.accept(chunk).map_err(|error| invalid(&error))?;
            writer = files.clone().run(move || writer.write(&data).map(|()| writer)).await?;
        }
        sequence.finish().map_err(|error| invalid(&error))?;
        let (store, announced) = (Arc::clone(&self.services.store), model.clone());
        files.clone().run(move || writer.finish_as(&store, &announced)).await?;
        self.services.coordinator.start(config, model).await.map_err(|error| refused(&error))?;
        Ok(job)
    }

    /// Does with a job what the operator at the other end wants.
    async fn order<T>(&self, request: &Request<T>, job: &str, order: Order) -> Result<(), Status> {
        let operator = peer::operator(request.extensions())?;
        let done = self.services.coordinator.order(job_name(job)?, order, operator.as_str());
        done.await.map_err(|error| refused(&error))
    }

    fn checked(&self, header: v1::StartJobHeader) -> Result<(JobConfig, ModelContent), Status> {
        if header.job_toml.len() > MAX_JOB_BYTES {
            let (expected, found) = ("at most 1 MiB".to_owned(), format!("{} bytes", header.job_toml.len()));
            return Err(invalid(&WireError::Range { field: "job_toml", expected, found }));
        }
        let config = JobConfig::parse(&header.job_toml)
            .map_err(|error| refusal::refuse(error.fault(), error.reason(), &error.to_string()))?;
        let model = header.model.ok_or(WireError::Missing { field: "model" });
        let model = model.and_then(ModelContent::try_from).map_err(|error| invalid(&error))?;
        let max = self.services.limits.max_model.get();
        if model.layout.bytes() > max {
            let (expected, found) =
                (format!("at most {max} (limits.max_model)"), model.layout.bytes().to_string());
            return Err(invalid(&WireError::Range { field: "model.size_bytes", expected, found }));
        }
        Ok((config, model))
    }
}

fn unexpected(expected: &'static str, found: &'static str) -> Status {
    invalid(&WireError::Unexpected { expected, found })
}

fn job_name(text: &str) -> Result<JobName, Status> {
    text.parse().map_err(|source| invalid(&WireError::Id { field: "job", source }))
}

fn optional_job(text: &str) -> Result<Option<JobName>, Status> {
    if text.is_empty() { Ok(None) } else { job_name(text).map(Some) }
}

#[tonic::async_trait]
impl operation_server::Operation for Operation {
    type WatchStatusStream = Pin<Box<dyn Stream<Item = Result<v1::StatusReport, Status>> + Send>>;

    async fn start_job(
        &self,
        request: Request<Streaming<v1::StartJobRequest>>,
    ) -> Result<Response<v1::StartJobResponse>, Status> {
        let operator = peer::operator(request.extensions())?;
        let job = self.start(request.into_inner()).await?;
        tracing::info!(%operator, %job, "started a job");
        Ok(Response::new(v1::StartJobResponse { job: job.to_string() }))
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::StatusReport>, Status> {
        peer::operator(request.extensions())?;
        let job = optional_job(&request.get_ref().job)?;
        let report = self.services.coordinator.status(job).await.map_err(|error| refused(&error))?;
        Ok(Response::new(report))
    }

    async fn watch_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        peer::operator(request.extensions())?;
        let job = optional_job(&request.get_ref().job)?;
        let coordinator = self.services.coordinator.clone();
        // Changes that come faster than the reader are seen as one.
        let reports = WatchStream::new(coordinator.changes()).then(move |_| {
            let (coordinator, job) = (coordinator.clone(), job.clone());
            async move { coordinator.status(job).await.map_err(|error| refused(&error)) }
        });
        Ok(Response::new(Box::pin(reports)))
    }

    async fn stop_job(
        &self,
        request: Request<v1::StopJobRequest>,
    ) -> Result<Response<v1::StopJobResponse>, Status> {
        self.order(&request, &request.get_ref().job, Order::Stop).await?;
        Ok(Response::new(v1::StopJobResponse {}))
    }

    async fn pause_job(
        &self,
        request: Request<v1::PauseJobRequest>,
    ) -> Result<Response<v1::PauseJobResponse>, Status> {
        self.order(&request, &request.get_ref().job, Order::Pause).await?;
        Ok(Response::new(v1::PauseJobResponse {}))
    }

    async fn resume_job(
        &self,
        request: Request<v1::ResumeJobRequest>,
    ) -> Result<Response<v1::ResumeJobResponse>, Status> {
        self.order(&request, &request.get_ref().job, Order::Resume).await?;
        Ok(Response::new(v1::ResumeJobResponse {}))
    }

    async fn retry_job(
        &self,
        request: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::RetryJobResponse>, Status> {
        self.order(&request, &request.get_ref().job, Order::Retry).await?;
        Ok(Response::new(v1::RetryJobResponse {}))
    }
}
