use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use federated_proto::{
    pieces::Carrier,
    transfer::{ChunkReader, answer, answer_once},
};
use http::{Request, Response};
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

use super::{Services, download, internal, peer, read_failed, upload::Uploads};

/// Serves the calls that move content, and leaves all others to the generated service.
#[derive(Clone, Debug)]
pub(super) struct Transfers<S> {
    service: S,
    services: Services,
    uploads: Arc<Uploads>,
}

impl<S> Transfers<S> {
    pub(super) const fn new(service: S, services: Services, uploads: Arc<Uploads>) -> Self {
        Self { service, services, uploads }
    }
}

impl<S: NamedService> NamedService for Transfers<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Transfers<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let services = self.services.clone();
        match request.uri().path() {
            "/federated.v1.Participation/SubmitUpdate" => {
                let uploads = Arc::clone(&self.uploads);
                Box::pin(async move { Ok(submit_update(&services, &uploads, request).await) })
            }
            "/federated.v1.Participation/FetchModel" => Box::pin(async move {
                let allowed = peer::participant(request.extensions(), &services.roster).map(drop);
                Ok(fetch_model(&services, allowed, request).await)
            }),
            "/federated.v1.Operation/DownloadModel" => Box::pin(async move {
                let allowed = peer::operator(request.extensions()).map(drop);
                Ok(fetch_model(&services, allowed, request).await)
            }),
            _ => Box::pin(self.service.call(request)),
        }
    }
}

async fn submit_update(
    services: &Services,
    uploads: &Arc<Uploads>,
    request: Request<Body>,
) -> Response<Body> {
    let participant = match peer::participant(request.extensions(), &services.roster) {
        Ok(participant) => participant,
        Err(status) => return status.into_http(),
    };
    let stream = ChunkReader::of_request(request.into_body(), Some(Carrier::Upload));
    let (services, uploads) = (services.clone(), Arc::clone(uploads));
    // A task of its own: the future of a call is dropped when its connection breaks, and what of the update has come by
    // then is kept only by who reads the stream to its end.
    let receiving = tokio::spawn(async move {
        let result = uploads.receive(&services, participant.clone(), stream).await;
        if let Err(status) = &result {
            tracing::info!(%participant, reason = %status.message(), "an upload ended without a receipt");
        }
        result
    });
    answer_once(receiving.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an upload ended unexpectedly");
        Err(internal())
    }))
}

async fn fetch_model(
    services: &Services,
    allowed: Result<(), Status>,
    request: Request<Body>,
) -> Response<Body> {
    let stream = async {
        allowed?;
        let mut reader = ChunkReader::of_request(request.into_body(), None);
        download::stream(services, reader.only().await.map_err(read_failed)?).await
    };
    stream.await.map_or_else(Status::into_http, answer)
}
