use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use federated_core::ids::Digest;
use federated_proto::{WireError, convert, transfer::Outgoing, v1};
use quick_cache::{Weighter, sync::Cache};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Services, invalid};
use crate::{config::Limits, store::StoredModel};

/// Chunks that wait for the network.
const AHEAD: usize = 2;
/// How many bytes of models are kept for the next participant that asks for the same ones.
const SHARED_BYTES: u64 = 8 << 20;

/// The answer to `FetchModel` and `DownloadModel`.
pub(super) type ModelStream = ReceiverStream<Result<Outgoing, Status>>;

/// What was read last of models, by model and offset: participants that download at about the same time share one
/// reading of the file, and one copy in memory.
#[derive(Debug)]
pub(crate) struct SharedChunks(Cache<(Digest, u64), Bytes, ByBytes>);

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<(Digest, u64), Bytes> for ByBytes {
    fn weight(&self, _: &(Digest, u64), data: &Bytes) -> u64 {
        data.len() as u64
    }
}

impl SharedChunks {
    pub(crate) fn new(limits: &Limits) -> Self {
        let chunks = usize::try_from(SHARED_BYTES).unwrap_or(usize::MAX) / limits.chunk.bytes();
        Self(Cache::with_weighter(chunks, SHARED_BYTES, ByBytes))
    }
}

/// A download under way.
struct Download {
    services: Services,
    digest: Digest,
    model: Arc<StoredModel>,
}

/// Sends a model's values from the offset asked for.
pub(super) async fn stream(
    services: &Services,
    request: v1::FetchModelRequest,
) -> Result<ModelStream, Status> {
    let digest = convert::digest("digest", &request.digest).map_err(|error| invalid(&error))?;
    let store = Arc::clone(&services.store);
    let model = match store.model_in_use(digest) {
        Some(model) => model,
        None => services.files.clone().run(move || store.open_model(digest)).await?,
    };
    let offset = request.offset;
    if offset > model.bytes() {
        let (expected, found) = (format!("0 to {}", model.bytes()), offset.to_string());
        return Err(invalid(&WireError::Range { field: "offset", expected, found }));
    }
    let (chunks, stream) = mpsc::channel(AHEAD);
    let download = Download { services: services.clone(), digest, model };
    tokio::spawn(async move {
        let sent = download.send(offset, &chunks).await;
        download.services.coordinator.downloaded(digest, sent).await;
    });
    Ok(ReceiverStream::new(stream))
}

impl Download {
    /// Sends everything from `offset` on; gives how much the reader took. Ends early when the reader is gone or takes
    /// less than the slowest transfer allowed.
    async fn send(&self, offset: u64, chunks: &mpsc::Sender<Result<Outgoing, Status>>) -> u64 {
        let mut position = offset;
        while position < self.model.bytes() {
            let chunk = self.chunk_at(position).await;
            let length = chunk.as_ref().map_or(0, |data| data.len() as u64);
            let outgoing = chunk.map(|data| Outgoing::Chunk(v1::Chunk { offset: position, data }));
            let failed = outgoing.is_err();
            match tokio::time::timeout(self.patience(length), chunks.send(outgoing)).await {
                Ok(Ok(())) if !failed => position += length,
                // The reader has gone, or sees why there is no more.
                Ok(_) => break,
                Err(_) => {
                    tracing::warn!(model = %self.digest, "a download is given up: nobody takes it");
                    break;
                }
            }
        }
        position - offset
    }

    /// How long a reader may take for so many bytes.
    fn patience(&self, bytes: u64) -> Duration {
        let Limits { stall, min_upload_rate, .. } = &*self.services.limits;
        *stall + Duration::from_secs(bytes / min_upload_rate.get())
    }

    /// The bytes from `offset` to the end of the chunk that it lies in.
    async fn chunk_at(&self, offset: u64) -> Result<Bytes, Status> {
        let chunk = self.services.limits.chunk.bytes();
        let start = offset - offset % chunk as u64;
        let length = usize::try_from(self.model.bytes() - start).unwrap_or(usize::MAX).min(chunk);
        let model = Arc::clone(&self.model);
        let read = self.services.files.clone().run(move || {
            let mut data = vec![0; length];
            model.read_exact_at(&mut data, start).map(|()| Bytes::from(data))
        });
        let shared = self.services.shared.0.get_or_insert_async(&(self.digest, start), read).await?;
        Ok(shared.slice(usize::try_from(offset - start).unwrap_or_default()..))
    }
}
