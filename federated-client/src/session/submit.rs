//! Updates from the state folder to the coordinator.

use std::{fs::File, io::Read, sync::Arc};

use bytes::Bytes;
use federated_core::task::TrainTask;
use federated_proto::{
    WireError,
    chunk::DEFAULT_CHUNK_BYTES,
    v1::{self, submit_update_request::Part},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Backoff, Connection,
    call::{CallError, persist},
    fetch::blocking,
};
use crate::state::{StateError, StateFolder, StoredUpdate};

/// How many chunks are read ahead.
const AHEAD: usize = 4;

/// Uploads the update of a task until the coordinator has it; gives whether the coordinator had it before.
///
/// With `resume`, and after every broken attempt, the coordinator is asked how much of it is durable there.
pub(super) async fn submit(
    connection: &Connection,
    state: &Arc<StateFolder>,
    task: &TrainTask,
    resume: bool,
    backoff: Backoff,
) -> Result<Option<bool>, CallError> {
    let (folder, wanted) = (Arc::clone(state), task.clone());
    let Some(update) = blocking(move || folder.find_update(&wanted)).await? else {
        return Ok(None);
    };
    let duplicate = persist(backoff, |number| attempt(connection, &update, resume || number > 0));
    duplicate.await.map(Some)
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
    let size = update.header().layout.bytes();
    if offset > size {
        return Err(range("durable_bytes", size, offset));
    }
    let source = update.values_from(offset)?;
    let chunk_bytes = connection.terms().max_chunk.min(DEFAULT_CHUNK_BYTES);
    let (sender, receiver) = mpsc::channel(AHEAD);
    let header = Part::Header(update.header().into());
    let reading = tokio::spawn(blocking(move || Ok(send(source, header, offset, chunk_bytes, &sender))));
    let answer = connection.client().submit_update(ReceiverStream::new(receiver)).await;
    match answer {
        Ok(receipt) => check(update, &receipt.into_inner()),
        Err(status) => {
            // A file that cannot be read ends the stream early; what the coordinator says then is a consequence.
            if let Ok(Ok(Err(source))) = reading.await {
                return Err(StateError::Read { path: update.path().to_owned(), source }.into());
            }
            Err(connection.error(&status))
        }
    }
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

/// Sends the header and the values from `offset` on; ends early when nobody listens any more.
fn send(
    mut source: File,
    header: Part,
    mut offset: u64,
    chunk_bytes: usize,
    sender: &mpsc::Sender<v1::SubmitUpdateRequest>,
) -> std::io::Result<()> {
    let message = |part| v1::SubmitUpdateRequest { part: Some(part) };
    let mut open = sender.blocking_send(message(header)).is_ok();
    while open {
        let mut data = Vec::with_capacity(chunk_bytes);
        let read = Read::by_ref(&mut source).take(chunk_bytes as u64).read_to_end(&mut data)?;
        if read == 0 {
            break;
        }
        let chunk = v1::Chunk { offset, data: data.into() };
        offset += read as u64;
        open = sender.blocking_send(message(Part::Chunk(chunk))).is_ok();
    }
    Ok(())
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
    async fn an_upload_is_the_header_and_then_the_rest_in_chunks() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"....0123456789").unwrap();
        file.seek(std::io::SeekFrom::Start(7)).unwrap();
        let (sender, mut receiver) = mpsc::channel(AHEAD);
        let header = Part::Header(v1::UpdateHeader::default());
        let sending = tokio::task::spawn_blocking(move || send(file, header, 3, 4, &sender));
        assert!(matches!(receiver.recv().await.unwrap().part, Some(Part::Header(_))));
        let mut chunks = Vec::new();
        while let Some(v1::SubmitUpdateRequest { part: Some(Part::Chunk(chunk)) }) = receiver.recv().await {
            chunks.push((chunk.offset, chunk.data));
        }
        sending.await.unwrap().unwrap();
        assert_eq!(chunks, [(3, Bytes::from_static(b"3456")), (7, Bytes::from_static(b"789"))]);
    }
}
