use std::sync::Arc;

use bytes::Bytes;
use federated_core::{ids::ParticipantName, round::UpdateKind};
use federated_proto::convert::UpdateHeader;
use tokio::{
    runtime::Handle,
    sync::OwnedSemaphorePermit,
    task::{JoinError, JoinHandle},
};

use super::{
    FileWork, Services,
    file_work::FileError,
    upload::{Failure, TurnGuard},
};
use crate::store::{PartialUpdate, Store, StoreError, UpdateForm};

/// So many bytes are gathered before they are written: the write is then worth a thread. What is gathered is lost with
/// the process.
const BATCH: usize = 64 << 10;

/// Content on its way to the spool, with the room it takes in memory.
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) data: Bytes,
    pub(super) _room: OwnedSemaphorePermit,
}

/// One upload's way to the spool: what comes is gathered, and written and checked beside the network.
///
pub(super) struct Intake {
    files: FileWork,
    upload: Option<Upload>,
    writing: Option<JoinHandle<Result<Upload, FileError>>>,
    gathered: Vec<Piece>,
    bytes: usize,
}

/// What the file work needs, wherever it runs.
struct Upload {
    store: Arc<Store>,
    participant: ParticipantName,
    header: UpdateHeader,
    partial: Option<PartialUpdate>,
    _turn: TurnGuard,
}

impl Intake {
    pub(super) fn new(
        services: &Services,
        participant: &ParticipantName,
        header: &UpdateHeader,
        turn: TurnGuard,
    ) -> Self {
        let upload = Upload {
            store: Arc::clone(&services.store),
            participant: participant.clone(),
            header: header.clone(),
            partial: None,
            _turn: turn,
        };
        let files = services.files.clone();
        Self { files, upload: Some(upload), writing: None, gathered: Vec::new(), bytes: 0 }
    }

    /// Checks that an upload goes on at `offset`, before anything is taken.
    pub(super) async fn resume(&mut self, offset: u64) -> Result<(), Failure> {
        let mut upload = self.written().await?;
        let files = self.files.clone();
        let opening = files.run(move || {
            upload.partial = Some(upload.open(offset)?);
            Ok(upload)
        });
        let upload = done(tokio::spawn(opening).await)?;
        let (participant, task) = (&upload.participant, &upload.header.task);
        tracing::info!(%participant, %task, offset, "an upload goes on where it broke off");
        self.upload = Some(upload);
        Ok(())
    }

    /// Takes content. One batch is gathered while another is written; then the network has to wait.
    pub(super) async fn take(&mut self, piece: Piece) -> Result<(), Failure> {
        self.bytes += piece.data.len();
        self.gathered.push(piece);
        if self.bytes >= BATCH && (!self.is_writing() || self.bytes >= 2 * BATCH) {
            self.write().await?;
        }
        Ok(())
    }

    /// Whether something waits to be written.
    pub(super) const fn has_gathered(&self) -> bool {
        !self.gathered.is_empty()
    }

    /// Writes what is left, and returns when the update is checked and durable.
    pub(super) async fn finish(mut self) -> Result<(), Failure> {
        let upload = self.written().await?;
        let pieces = self.gather();
        done(tokio::spawn(self.files.clone().run(move || upload.write(pieces)?.finish())).await)
    }

    fn is_writing(&self) -> bool {
        self.writing.as_ref().is_some_and(|writing| !writing.is_finished())
    }

    /// Begins to write what is gathered, after the write that is under way. Nothing is lost when the future is dropped.
    pub(super) async fn write(&mut self) -> Result<(), Failure> {
        let upload = self.written().await?;
        let pieces = self.gather();
        self.writing = Some(tokio::spawn(self.files.clone().run(move || upload.write(pieces))));
        Ok(())
    }

    fn gather(&mut self) -> Vec<Piece> {
        self.bytes = 0;
        std::mem::take(&mut self.gathered)
    }

    /// The upload, when the write that is under way has ended.
    async fn written(&mut self) -> Result<Upload, Failure> {
        if let Some(writing) = &mut self.writing {
            let ended = writing.await;
            self.writing = None;
            return done(ended);
        }
        self.upload.take().ok_or_else(|| Failure::Call(FileError::Ended.into()))
    }
}

impl Drop for Intake {
    /// What came of an upload that ends early is kept. The participant's turn is too, until that is done: whoever asks
    /// how far the upload got is told the truth.
    fn drop(&mut self) {
        let (pieces, upload, writing) = (self.gather(), self.upload.take(), self.writing.take());
        let (files, Ok(runtime)) = (self.files.clone(), Handle::try_current()) else { return };
        if pieces.is_empty() {
            return;
        }
        runtime.spawn(async move {
            let upload = match (upload, writing) {
                (Some(upload), _) => upload,
                (None, Some(writing)) => match writing.await {
                    Ok(Ok(upload)) => upload,
                    _ => return,
                },
                (None, None) => return,
            };
            if let Err(error) = files.run(move || upload.write(pieces)).await {
                tracing::warn!(?error, "the rest of an upload that broke off could not be kept");
            }
        });
    }
}

impl Upload {
    fn write(mut self, pieces: Vec<Piece>) -> Result<Self, StoreError> {
        for piece in pieces {
            let mut partial = match self.partial.take() {
                Some(partial) => partial,
                None => self.open(piece.offset)?,
            };
            partial.write(&piece.data)?;
            self.partial = Some(partial);
        }
        Ok(self)
    }

    fn finish(mut self) -> Result<(), StoreError> {
        let partial = match self.partial.take() {
            Some(partial) => partial,
            // Nothing came: a participant that lost only the receipt sends no chunk.
            None => self.open(self.header.bytes)?,
        };
        partial.finish(&self.header.layout)
    }

    fn open(&self, offset: u64) -> Result<PartialUpdate, StoreError> {
        let UpdateHeader { task, layout, content, bytes, kind } = &self.header;
        let encoding = match kind {
            UpdateKind::Open { encoding, .. } => Some(*encoding),
            UpdateKind::Masked => None,
        };
        let form = UpdateForm { encoding, elements: layout.elements(), bytes: *bytes };
        self.store.resume_upload(task, &self.participant, *content, form, offset)
    }
}

fn done<T>(ended: Result<Result<T, FileError>, JoinError>) -> Result<T, Failure> {
    ended.unwrap_or(Err(FileError::Ended)).map_err(|error| match error {
        FileError::Store(StoreError::Content(error)) => Failure::Content(error),
        error => Failure::Call(error.into()),
    })
}
