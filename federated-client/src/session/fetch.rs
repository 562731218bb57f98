//! Models from the coordinator into the state folder.

use std::sync::Arc;

use bytes::Bytes;
use federated_core::ids::Digest;
use federated_proto::{WireError, chunk::ChunkSequence, v1};

use super::{
    Backoff, Connection,
    call::{CallError, persist},
};
use crate::state::{StateError, StateFolder};

/// Sees that a model of `total` bytes is in the state folder, whatever breaks on the way.
///
/// The bytes that are there already are not asked for again. A wrong digest may come from a beginning that a crash
/// damaged, so the download starts afresh once.
pub(super) async fn fetch(
    connection: &Connection,
    state: &Arc<StateFolder>,
    digest: Digest,
    total: u64,
    backoff: Backoff,
) -> Result<(), CallError> {
    let download = || persist(backoff, |_| attempt(connection, state, digest, total));
    match download().await {
        Err(CallError::State(StateError::Digest { .. })) => download().await,
        result => result,
    }
}

async fn attempt(
    connection: &Connection,
    state: &Arc<StateFolder>,
    digest: Digest,
    total: u64,
) -> Result<(), CallError> {
    if state.has_model(&digest) {
        return Ok(());
    }
    let folder = Arc::clone(state);
    let mut partial = blocking(move || folder.download(digest, total)).await?;
    if partial.length() < total {
        let request = v1::FetchModelRequest {
            digest: Bytes::copy_from_slice(digest.as_bytes()),
            offset: partial.length(),
        };
        let failed = |status: tonic::Status| connection.error(&status);
        let answer = connection.client().fetch_model(request).await.map_err(failed)?;
        let mut sequence = ChunkSequence::new(partial.length(), total);
        let mut answers = answer.into_inner();
        while let Some(answer) = answers.message().await.map_err(failed)? {
            let chunk = answer.chunk.ok_or(WireError::Missing { field: "chunk" })?;
            let bytes = sequence.accept(chunk)?;
            partial = blocking(move || partial.append(&bytes).map(|()| partial)).await?;
        }
        sequence.finish()?;
    }
    Ok(blocking(move || partial.finish()).await?)
}

/// Work on files, away from the threads that serve the network.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, StateError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
