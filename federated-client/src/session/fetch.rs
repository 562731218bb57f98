//! Models from the coordinator into the state folder.

use std::sync::Arc;

use bytes::Bytes;
use federated_core::ids::Digest;
use federated_core::model::ModelLayout;
use federated_proto::{
    WireError,
    chunk::ChunkSequence,
    pieces::{Carrier, Part, framed},
    transfer::{Outgoing, decode},
    v1,
};
use tokio::sync::mpsc;

use super::{
    Backoff, Connection,
    call::{CallError, persist},
};
use crate::state::{PartialModel, StateError, StateFolder};

const PATH: &str = "/federated.v1.Participation/FetchModel";
/// Pieces of content that may wait to be put in their place.
const AHEAD: usize = 8;

/// Sees that a model is in the state folder, whatever breaks on the way.
///
/// The bytes that are there already are not asked for again. A wrong digest may come from a beginning that a crash
/// damaged, so the download starts afresh once.
pub(super) async fn fetch(
    connection: &Connection,
    state: &Arc<StateFolder>,
    digest: Digest,
    layout: &ModelLayout,
    backoff: Backoff,
) -> Result<(), CallError> {
    let download = || persist(backoff, |_| attempt(connection, state, digest, layout));
    match download().await {
        Err(CallError::State(StateError::Digest { .. })) => download().await,
        result => result,
    }
}

async fn attempt(
    connection: &Connection,
    state: &Arc<StateFolder>,
    digest: Digest,
    layout: &ModelLayout,
) -> Result<(), CallError> {
    if PartialModel::is_only_in_memory(layout) {
        let Some(mut partial) = state.download(digest, layout)? else { return Ok(()) };
        let (offset, total) = (partial.length(), layout.bytes());
        let came = receive(connection, digest, offset, total, Sink::Memory(&mut partial)).await;
        partial.finish(state)?;
        return came;
    }
    let (folder, wanted) = (Arc::clone(state), layout.clone());
    let Some(partial) = blocking(move || folder.download(digest, &wanted)).await? else {
        return Ok(());
    };
    let (offset, total) = (partial.length(), layout.bytes());
    let (pieces, received) = mpsc::channel(AHEAD);
    let folder = Arc::clone(state);
    let keeping = tokio::spawn(blocking(move || keep(partial, received, &folder)));
    let came = receive(connection, digest, offset, total, Sink::Thread(pieces)).await;
    // However the call ended, what came stays: a folder that fails is the reason behind everything else.
    match keeping.await {
        Ok(kept) => kept?,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
    came
}

/// Where the content goes.
enum Sink<'a> {
    /// Into memory: that is done as soon as it is handed to anyone.
    Memory(&'a mut PartialModel),
    /// To a thread that also writes it to the folder.
    Thread(mpsc::Sender<Bytes>),
}

impl Sink<'_> {
    /// Gives whether more is wanted: a thread that has failed says why itself.
    async fn take(&mut self, bytes: Bytes) -> Result<bool, StateError> {
        match self {
            Self::Memory(partial) => partial.append(&bytes).map(|()| true),
            Self::Thread(pieces) => Ok(pieces.send(bytes).await.is_ok()),
        }
    }
}

/// Passes the content from `offset` on to the sink as it comes.
async fn receive(
    connection: &Connection,
    digest: Digest,
    offset: u64,
    total: u64,
    mut sink: Sink<'_>,
) -> Result<(), CallError> {
    if offset == total {
        return Ok(());
    }
    let request = v1::FetchModelRequest { digest: Bytes::copy_from_slice(digest.as_bytes()), offset };
    let request = tokio_stream::once(Ok(Outgoing::Message(framed(&request))));
    let mut answer = connection.transfer(PATH, request, Some(Carrier::Download)).await?;
    let mut sequence = ChunkSequence::new(offset, total);
    while let Some(part) = answer.next().await.map_err(|error| connection.read_error(error))? {
        let chunk = match part {
            Part::Piece(piece) => piece,
            Part::Message(message) => decode::<v1::FetchModelResponse>(message)?
                .chunk
                .ok_or(WireError::Missing { field: "chunk" })?,
        };
        if !sink.take(sequence.accept(chunk)?).await? {
            break;
        }
    }
    Ok(sequence.finish()?)
}

/// Puts the content in its place until no more comes; the model is ready when all of it came.
fn keep(
    mut partial: PartialModel,
    mut pieces: mpsc::Receiver<Bytes>,
    folder: &StateFolder,
) -> Result<(), StateError> {
    while let Some(bytes) = pieces.blocking_recv() {
        partial.append(&bytes)?;
    }
    partial.finish(folder)
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
