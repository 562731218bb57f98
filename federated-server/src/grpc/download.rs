use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    sync::Arc,
};

use bytes::Bytes;
use federated_core::ids::Digest;
use federated_proto::{WireError, convert, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Services, blocking, invalid};
use crate::store::StoreError;

/// Chunks that are read ahead of the network.
const READ_AHEAD: usize = 4;

/// The answer to `FetchModel` and `DownloadModel`.
pub(super) type ModelStream = ReceiverStream<Result<v1::FetchModelResponse, Status>>;

/// Sends a model's values from the offset asked for.
pub(super) async fn stream(
    services: &Services,
    request: v1::FetchModelRequest,
) -> Result<ModelStream, Status> {
    let digest = convert::digest("digest", &request.digest).map_err(|error| invalid(&error))?;
    let store = Arc::clone(&services.store);
    let (mut file, length) = blocking(move || store.open_model(digest)).await?;
    let offset = request.offset;
    if offset > length {
        let error = WireError::Range {
            field: "offset",
            expected: format!("0 to {length}"),
            found: offset.to_string(),
        };
        return Err(invalid(&error));
    }
    let (chunks, stream) = mpsc::channel(READ_AHEAD);
    let (services, step) = (services.clone(), services.limits.chunk.bytes());
    tokio::spawn(async move {
        let mut position = offset;
        while position < length {
            let size = usize::try_from(length - position).unwrap_or(usize::MAX).min(step);
            let read = blocking(move || read(file, digest, position, size)).await;
            let (response, sent) = match read {
                Ok((returned, data)) => {
                    file = returned;
                    let chunk = v1::Chunk { offset: position, data };
                    (Ok(v1::FetchModelResponse { chunk: Some(chunk) }), size as u64)
                }
                Err(status) => {
                    // The reader sees why; if it is gone, nobody needs to know.
                    let _ = chunks.send(Err(status)).await;
                    return;
                }
            };
            if chunks.send(response).await.is_err() {
                break;
            }
            position += sent;
        }
        services.coordinator.downloaded(digest, position - offset).await;
    });
    Ok(ReceiverStream::new(stream))
}

fn read(mut file: File, digest: Digest, position: u64, size: usize) -> Result<(File, Bytes), StoreError> {
    let failed =
        |source| StoreError::Io { action: "read the model", path: digest.to_string().into(), source };
    let mut data = vec![0; size];
    file.seek(SeekFrom::Start(position)).and_then(|_| file.read_exact(&mut data)).map_err(failed)?;
    Ok((file, data.into()))
}
