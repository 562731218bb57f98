//! Updates from the state folder to the coordinator.

use std::{fs::File, io::Read, sync::Arc};

use bytes::Bytes;
use federated_core::{ids::Digest, task::TrainTask};
use federated_proto::{
    WireError,
    chunk::split,
    pieces::framed,
    transfer::Outgoing,
    v1::{self, submit_update_request::Part},
};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

use super::{
    Backoff, Connection,
    call::{CallError, persist},
    fetch::blocking,
};
use crate::state::{StateError, StateFolder, StoredUpdate, Values};

const PATH: &str = "/federated.v1.Participation/SubmitUpdate";
/// Size of a chunk: larger ones do not travel faster, and leave the processor's cache before they are encrypted.
const CHUNK_BYTES: usize = 256 << 10;
/// How many chunks are read ahead.
const AHEAD: usize = 4;

/// What the coordinator confirmed.
#[derive(Debug)]
pub(super) struct Delivered {
    /// The digest of the update's content.
    pub(super) content: Digest,
    /// The coordinator had it before.
    pub(super) duplicate: bool,
}

/// Uploads the update of a task until the coordinator has it; `None` when there is no such update.
///
/// With `resume`, and after every broken attempt, the coordinator is asked how much of it is durable there.
pub(super) async fn submit(
    connection: &Connection,
    state: &Arc<StateFolder>,
    task: &TrainTask,
    resume: bool,
    backoff: Backoff,
) -> Result<Option<Delivered>, CallError> {
    let update = match state.recent_update(task) {
        Some(update) => update,
        None => {
            let (folder, wanted) = (Arc::clone(state), task.clone());
            match blocking(move || folder.find_update(&wanted)).await? {
                Some(update) => update,
                None => return Ok(None),
            }
        }
    };
    let duplicate = persist(backoff, |number| attempt(connection, &update, resume || number > 0));
    let content = update.header().content;
    Ok(Some(Delivered { content, duplicate: duplicate.await? }))
}

async fn attempt(connection: &Connection, update: &StoredUpdate, resume: bool) -> Result<bool, CallError> {
    let offset = if resume {
        let answer = query(connection, update).await?;
        if answer.complete {
            return Ok(true);
        }
        answer.durable_bytes
    } else {
        0
    };
    let size = update.header().bytes;
    if offset > size {
        return Err(range("durable_bytes", size, offset));
    }
    let values = update.values_from(offset)?;
    let chunk_bytes = connection.terms().max_chunk.min(CHUNK_BYTES);
    let header = v1::SubmitUpdateRequest { part: Some(Part::Header(update.header().into())) };
    let header = tokio_stream::once(Ok(Outgoing::Message(framed(&header))));
    let reader = match values {
        Values::Memory(values) => {
            let chunks = split(values, 0, chunk_bytes);
            let chunks = chunks.map(move |chunk| v1::Chunk { offset: offset + chunk.offset, ..chunk });
            let chunks = tokio_stream::iter(chunks.map(|chunk| Ok(Outgoing::Chunk(chunk))));
            connection.transfer(PATH, header.chain(chunks), None).await
        }
        Values::File(file) => {
            let (sender, receiver) = mpsc::channel(AHEAD);
            let path = update.path().to_owned();
            let reading = blocking(move || {
                send(file, offset, chunk_bytes, &sender).map_err(|source| StateError::Read { path, source })
            });
            let reading = tokio::spawn(reading);
            let reader = connection.transfer(PATH, header.chain(ReceiverStream::new(receiver)), None).await;
            let read = reading.await;
            // A file that cannot be read ends the stream early; what the coordinator says then is a consequence.
            if reader.is_err()
                && let Ok(Err(error)) = read
            {
                return Err(error.into());
            }
            reader
        }
    };
    let receipt = reader?.only().await.map_err(|error| connection.read_error(error))?;
    check(update, &receipt)
}

async fn query(connection: &Connection, update: &StoredUpdate) -> Result<v1::QueryUploadResponse, CallError> {
    let header = update.header();
    let request = v1::QueryUploadRequest {
        task: Some((&header.task).into()),
        digest: Bytes::copy_from_slice(header.content.as_bytes()),
    };
    let answer = connection.client().query_upload(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| connection.error(&status))
}

/// Sends the values from `offset` on; ends early when nobody listens any more.
fn send(
    mut source: File,
    mut offset: u64,
    chunk_bytes: usize,
    sender: &mpsc::Sender<Result<Outgoing, tonic::Status>>,
) -> std::io::Result<()> {
    loop {
        let mut data = Vec::with_capacity(chunk_bytes);
        let read = Read::by_ref(&mut source).take(chunk_bytes as u64).read_to_end(&mut data)?;
        let chunk = v1::Chunk { offset, data: data.into() };
        offset += read as u64;
        if read == 0 || sender.blocking_send(Ok(Outgoing::Chunk(chunk))).is_err() {
            return Ok(());
        }
    }
}

/// Checks that a receipt is for this update.
fn check(update: &StoredUpdate, receipt: &v1::SubmitUpdateResponse) -> Result<bool, CallError> {
    let header = update.header();
    let expected = v1::TaskId::from(&header.task);
    if receipt.task.as_ref() != Some(&expected) || receipt.digest != header.content.as_bytes()[..] {
        let (expected, found) = ("a receipt for the update", "one for another");
        return Err(WireError::Unexpected { expected, found }.into());
    }
    Ok(receipt.duplicate)
}

fn range(field: &'static str, most: u64, found: u64) -> CallError {
    let (expected, found) = (format!("at most {most}"), found.to_string());
    WireError::Range { field, expected, found }.into()
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    #[tokio::test]
    async fn a_file_is_sent_in_chunks_from_the_offset_on() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"....0123456789").unwrap();
        file.seek(std::io::SeekFrom::Start(7)).unwrap();
        let (sender, mut receiver) = mpsc::channel(AHEAD);
        let sending = tokio::task::spawn_blocking(move || send(file, 3, 4, &sender));
        let mut chunks = Vec::new();
        while let Some(Ok(Outgoing::Chunk(chunk))) = receiver.recv().await {
            chunks.push((chunk.offset, chunk.data));
        }
        sending.await.unwrap().unwrap();
        assert_eq!(chunks, [(3, Bytes::from_static(b"3456")), (7, Bytes::from_static(b"789"))]);
    }
}
