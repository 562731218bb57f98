use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use federated_core::{
    fault::ReasonCode,
    ids::{ParticipantName, TaskId},
    round::OutReason,
};
use federated_proto::{
    WireError,
    chunk::ChunkSequence,
    convert::UpdateHeader,
    refusal::{self, refuse_with},
    v1::{self, submit_update_request::Part},
};
use tokio::{
    sync::{OwnedMutexGuard, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

use super::{Services, blocking, invalid, refused};
use crate::{
    config::Limits,
    coordinator::Admitted,
    store::{PartialUpdate, StoreError},
};

/// The uploads under way: at most so many in all, at most one of each participant.
#[derive(Debug)]
pub(super) struct Uploads {
    places: Arc<Semaphore>,
    turns: Mutex<BTreeMap<ParticipantName, Turn>>,
}

/// Held by whoever may write a participant's spool file, also by file work that outlives its call.
type TurnGuard = Arc<OwnedMutexGuard<()>>;

#[derive(Clone, Debug, Default)]
struct Turn {
    lock: Arc<tokio::sync::Mutex<()>>,
    replaced: CancellationToken,
}

impl Uploads {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { places: Arc::new(Semaphore::new(limits.max_uploads.get())), turns: Mutex::default() }
    }

    /// Waits for the participant's turn. An earlier upload of the same participant is ended: its connection is dead,
    /// or the participant would not have begun again.
    pub(super) async fn turn(&self, participant: &ParticipantName) -> (TurnGuard, CancellationToken) {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = turns.entry(participant.clone()).or_default();
            std::mem::take(&mut turn.replaced).cancel();
            turn.clone()
        };
        (Arc::new(turn.lock.lock_owned().await), turn.replaced)
    }

    /// Takes an update in, and answers when it is durable and counted.
    pub(super) async fn receive(
        &self,
        services: &Services,
        participant: ParticipantName,
        mut stream: Streaming<v1::SubmitUpdateRequest>,
    ) -> Result<v1::SubmitUpdateResponse, Status> {
        let patience = services.limits.stall;
        let first = tokio::time::timeout(patience, stream.message())
            .await
            .map_err(|_| stalled(&services.limits))??;
        let header = match first.and_then(|message| message.part) {
            Some(Part::Header(header)) => header,
            Some(Part::Chunk(_)) => return Err(unexpected("a chunk")),
            None => return Err(unexpected("nothing")),
        };
        let Ok(_place) = self.places.try_acquire() else {
            let message =
                "as many updates as the coordinator takes at a time are being uploaded; try again soon";
            return Err(refuse_with(Code::ResourceExhausted, ReasonCode::new("TOO_MANY_UPLOADS"), message));
        };
        let task = task(&header)?;
        let offender = Offender { services, participant: &participant, task: &task };
        let header = match UpdateHeader::try_from(header) {
            Ok(header) => header,
            Err(error) => return Err(offender.refuse(&error).await),
        };
        let (turn, replaced) = self.turn(&participant).await;
        let admitted = services.coordinator.admit(participant.clone(), task.clone(), header.content).await;
        let duplicate = match admitted.map_err(|error| refused(&error))? {
            Admitted::Duplicate(_) => true,
            Admitted::Welcome(layout) => {
                if let Err(error) = layout.check_same(&header.layout) {
                    return Err(offender.refuse(&error.into()).await);
                }
                let spool = spool(services, &participant, &header, &mut stream, &turn);
                match replaced.run_until_cancelled(spool).await {
                    Some(Ok(())) => {}
                    Some(Err(Failure::Content(error))) => return Err(offender.refuse(&error).await),
                    Some(Err(Failure::Call(status))) => return Err(status),
                    None => return Err(superseded()),
                }
                let stored = services.coordinator.stored(participant.clone(), header.clone()).await;
                stored.map_err(|error| refused(&error))?;
                false
            }
        };
        let digest = Bytes::copy_from_slice(header.content.as_bytes());
        Ok(v1::SubmitUpdateResponse { task: Some((&header.task).into()), digest, duplicate })
    }
}

/// Why an upload ends without a receipt.
enum Failure {
    /// What came cannot be used, now or later.
    Content(WireError),
    /// The call failed; the bytes that came stay.
    Call(Status),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Call(status)
    }
}

/// Whoever sends something unusable: is told so, and the round goes on without it.
struct Offender<'a> {
    services: &'a Services,
    participant: &'a ParticipantName,
    task: &'a TaskId,
}

impl Offender<'_> {
    async fn refuse(&self, error: &WireError) -> Status {
        let (code, message) = (error.reason(), refusal::cut(&error.to_string()));
        if error.is_about_content() {
            let reason = OutReason::Refused { code: code.to_string(), message: message.clone() };
            self.services.coordinator.failed(self.participant.clone(), self.task.clone(), reason).await;
        }
        refuse_with(Code::InvalidArgument, code, &message)
    }
}

fn task(header: &v1::UpdateHeader) -> Result<TaskId, Status> {
    let task = header.task.clone().ok_or(WireError::Missing { field: "header.task" });
    task.and_then(TaskId::try_from).map_err(|error| invalid(&error))
}

fn unexpected(found: &'static str) -> Status {
    invalid(&WireError::Unexpected { expected: "a header as the first message", found })
}

fn stalled(limits: &Limits) -> Status {
    let message = format!(
        "expected at least {} bytes a second, averaged over {:?}, found fewer; query the upload and go on from there",
        limits.min_upload_rate, limits.stall
    );
    refuse_with(Code::Aborted, ReasonCode::new("UPLOAD_STALLED"), &message)
}

fn superseded() -> Status {
    let message = "the participant began this upload again on another connection";
    refuse_with(Code::Aborted, ReasonCode::new("UPLOAD_SUPERSEDED"), message)
}

/// Writes the chunks to the spool, then checks the whole update and makes it durable.
async fn spool(
    services: &Services,
    participant: &ParticipantName,
    header: &UpdateHeader,
    stream: &mut Streaming<v1::SubmitUpdateRequest>,
    turn: &TurnGuard,
) -> Result<(), Failure> {
    let mut progress = Progress::new(&services.limits);
    let mut upload: Option<(PartialUpdate, ChunkSequence)> = None;
    while let Some(chunk) = progress.next(stream).await? {
        let offset = chunk.offset;
        let (mut partial, mut sequence) = match upload.take() {
            Some(open) => open,
            None => (
                open(services, participant, header, offset, turn).await?,
                ChunkSequence::new(offset, header.layout.bytes()),
            ),
        };
        let data = sequence.accept(chunk).map_err(failure)?;
        let partial = exclusive(turn, move || partial.write(&data).map(|()| partial)).await?;
        upload = Some((partial, sequence));
    }
    let Some((partial, sequence)) = upload else {
        // Everything was here already: a participant that lost only the receipt sends no chunk.
        let total = header.layout.bytes();
        let partial = open(services, participant, header, total, turn).await?;
        return finish(partial, header, turn).await;
    };
    sequence.finish().map_err(failure)?;
    finish(partial, header, turn).await
}

/// Runs file work that keeps the participant's turn until it is done, also when the call that began it is gone.
async fn exclusive<T: Send + 'static>(
    turn: &TurnGuard,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Status> {
    let turn = Arc::clone(turn);
    blocking(move || {
        let result = work();
        drop(turn);
        result
    })
    .await
}

async fn open(
    services: &Services,
    participant: &ParticipantName,
    header: &UpdateHeader,
    offset: u64,
    turn: &TurnGuard,
) -> Result<PartialUpdate, Status> {
    let (store, participant) = (Arc::clone(&services.store), participant.clone());
    let (task, content) = (header.task.clone(), header.content);
    exclusive(turn, move || store.resume_upload(&task, &participant, content, offset)).await
}

async fn finish(partial: PartialUpdate, header: &UpdateHeader, turn: &TurnGuard) -> Result<(), Failure> {
    let (layout, turn) = (header.layout.clone(), Arc::clone(turn));
    // Not through `blocking`: an unusable content must be told apart from a disk that fails.
    match tokio::task::spawn_blocking(move || {
        let result = partial.finish(&layout);
        drop(turn);
        result
    })
    .await
    {
        Ok(Ok(())) => Ok(()),
        Ok(Err(StoreError::Content(error))) => Err(Failure::Content(error)),
        Ok(Err(error)) => Err(Failure::Call(super::store_refused(&error))),
        Err(error) => {
            tracing::error!(%error, "checking an update ended unexpectedly");
            let message = "an internal error; it is in the log";
            Err(Failure::Call(refuse_with(Code::Internal, ReasonCode::new("INTERNAL"), message)))
        }
    }
}

fn failure(error: WireError) -> Failure {
    if error.is_about_content() { Failure::Content(error) } else { Failure::Call(invalid(&error)) }
}

/// Watches that an upload moves: progress decides, not a wall clock.
struct Progress<'a> {
    limits: &'a Limits,
    floor: u64,
    ends: Instant,
    moved: u64,
}

impl<'a> Progress<'a> {
    fn new(limits: &'a Limits) -> Self {
        let floor = limits.min_upload_rate.get().saturating_mul(limits.stall.as_secs().max(1));
        Self { limits, floor, ends: Instant::now() + limits.stall, moved: 0 }
    }

    /// The next chunk; `None` at the end of the stream.
    async fn next(
        &mut self,
        stream: &mut Streaming<v1::SubmitUpdateRequest>,
    ) -> Result<Option<v1::Chunk>, Status> {
        loop {
            let Ok(message) = tokio::time::timeout_at(self.ends, stream.message()).await else {
                if self.moved < self.floor {
                    return Err(stalled(self.limits));
                }
                (self.moved, self.ends) = (0, Instant::now() + self.limits.stall);
                continue;
            };
            return match message?.map(|message| message.part) {
                None => Ok(None),
                Some(Some(Part::Chunk(chunk))) => {
                    self.moved += chunk.data.len() as u64;
                    Ok(Some(chunk))
                }
                Some(Some(Part::Header(_))) => {
                    Err(invalid(&WireError::Unexpected { expected: "a chunk", found: "a second header" }))
                }
                // A part of a kind that a later version adds.
                Some(None) => continue,
            };
        }
    }
}
