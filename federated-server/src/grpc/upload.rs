use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
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
    pieces as incoming,
    refusal::{self, refuse_with},
    transfer::{ChunkReader, decode},
    v1::{self, submit_update_request::Part},
};
use tokio::{
    sync::{OwnedMutexGuard, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{
    Services,
    intake::{Intake, Piece},
    invalid, read_failed, refused,
};
use crate::{config::Limits, coordinator::Admitted};

/// How long the network may be quiet before what came is written: a write of a few kilobytes is not worth a thread
/// when the next ones are on their way.
const PAUSE: Duration = Duration::from_millis(5);

/// The uploads under way: at most so many in all, at most one of each participant.
#[derive(Debug)]
pub(super) struct Uploads {
    places: Arc<Semaphore>,
    /// Bytes that may wait for the disk, of all uploads together.
    memory: Arc<Semaphore>,
    turns: Mutex<BTreeMap<ParticipantName, Turn>>,
}

/// Held by whoever may write a participant's spool file, also by file work that outlives its call.
pub(super) type TurnGuard = Arc<OwnedMutexGuard<()>>;

#[derive(Clone, Debug, Default)]
struct Turn {
    lock: Arc<tokio::sync::Mutex<()>>,
    replaced: CancellationToken,
}

impl Uploads {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.max_uploads.get())),
            memory: Arc::new(Semaphore::new(limits.upload_memory.get())),
            turns: Mutex::default(),
        }
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
        mut stream: ChunkReader,
    ) -> Result<v1::SubmitUpdateResponse, Status> {
        let header = header(services, &mut stream).await?;
        let task = task(&header)?;
        let offender = Offender { services, participant: &participant, task: &task };
        let header = match UpdateHeader::try_from(header) {
            Ok(header) => header,
            Err(error) => return Err(offender.refuse(&error).await),
        };
        let (turn, replaced) = self.turn(&participant).await;
        // In the order of their arrival; whoever waits is held back by the window of its stream.
        let waiting = replaced.run_until_cancelled(Arc::clone(&self.places).acquire_owned());
        let Some(Ok(_place)) = waiting.await else { return Err(superseded()) };
        let admitted = services.coordinator.admit(participant.clone(), task.clone(), header.content).await;
        let duplicate = match admitted.map_err(|error| refused(&error))? {
            Admitted::Duplicate { .. } => true,
            Admitted::Welcome(wanted) => {
                if let Err(error) = wanted.check(&header) {
                    return Err(offender.refuse(&error).await);
                }
                let intake = Intake::new(services, &participant, &header, turn);
                let spooled = self.spool(services, header.bytes, &mut stream, intake);
                match replaced.run_until_cancelled(spooled).await {
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

    /// Passes the content on to the spool as it comes; ends when all of it is durable.
    async fn spool(
        &self,
        services: &Services,
        total: u64,
        stream: &mut ChunkReader,
        mut intake: Intake,
    ) -> Result<(), Failure> {
        let mut progress = Progress::new(&services.limits);
        let mut sequence: Option<ChunkSequence> = None;
        loop {
            let chunk = {
                let mut next = std::pin::pin!(progress.next(stream));
                loop {
                    tokio::select! {
                        biased;
                        chunk = &mut next => break chunk?,
                        begun = write_after_pause(&mut intake), if intake.has_gathered() => begun?,
                    }
                }
            };
            let Some(chunk) = chunk else { break };
            if sequence.is_none() && chunk.offset != 0 {
                intake.resume(chunk.offset).await?;
            }
            let sequence = sequence.get_or_insert_with(|| ChunkSequence::new(chunk.offset, total));
            let offset = chunk.offset;
            let data = sequence.accept(chunk).map_err(failure)?;
            // A piece that is larger than all the room there is takes all of it.
            let budget = data.len().min(services.limits.upload_memory.get());
            let budget = u32::try_from(budget).unwrap_or(u32::MAX);
            let room = {
                let mut room = std::pin::pin!(Arc::clone(&self.memory).acquire_many_owned(budget));
                loop {
                    tokio::select! {
                        biased;
                        room = &mut room => break room,
                        // What is gathered takes the room that others wait for.
                        begun = intake.write(), if intake.has_gathered() => begun?,
                    }
                }
            };
            // The semaphore is never closed.
            let Ok(room) = room else { break };
            intake.take(Piece { offset, data, _room: room }).await?;
            // What waits for the disk is not the participant's slowness.
            progress.resume();
        }
        if let Some(sequence) = &sequence {
            sequence.finish().map_err(failure)?;
        }
        intake.finish().await
    }
}

/// When nothing more comes for a moment, what is here is written.
async fn write_after_pause(intake: &mut Intake) -> Result<(), Failure> {
    tokio::time::sleep(PAUSE).await;
    intake.write().await
}

/// The header that every upload begins with.
async fn header(services: &Services, stream: &mut ChunkReader) -> Result<v1::UpdateHeader, Status> {
    let first = tokio::time::timeout(services.limits.stall, stream.next()).await;
    let message = match first.map_err(|_| stalled(&services.limits))?.map_err(read_failed)? {
        Some(incoming::Part::Message(message)) => decode::<v1::SubmitUpdateRequest>(message),
        Some(incoming::Part::Piece(_)) => return Err(unexpected("a chunk")),
        None => return Err(unexpected("nothing")),
    };
    match message.map_err(|error| invalid(&error))?.part {
        Some(Part::Header(header)) => Ok(header),
        Some(Part::Chunk(_)) => Err(unexpected("a chunk")),
        None => Err(unexpected("nothing")),
    }
}

/// Why an upload ends without a receipt.
pub(super) enum Failure {
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

    /// The window begins anew once this side has been in the way.
    fn resume(&mut self) {
        if Instant::now() >= self.ends {
            (self.moved, self.ends) = (0, Instant::now() + self.limits.stall);
        }
    }

    /// The next content; `None` at the end of the stream.
    async fn next(&mut self, stream: &mut ChunkReader) -> Result<Option<v1::Chunk>, Status> {
        loop {
            let Ok(part) = tokio::time::timeout_at(self.ends, stream.next()).await else {
                if self.moved < self.floor {
                    return Err(stalled(self.limits));
                }
                (self.moved, self.ends) = (0, Instant::now() + self.limits.stall);
                continue;
            };
            let chunk = match part.map_err(read_failed)? {
                None => return Ok(None),
                Some(incoming::Part::Piece(piece)) => piece,
                Some(incoming::Part::Message(message)) => {
                    match decode::<v1::SubmitUpdateRequest>(message).map_err(|error| invalid(&error))?.part {
                        Some(Part::Chunk(chunk)) => chunk,
                        Some(Part::Header(_)) => {
                            let (expected, found) = ("a chunk", "a second header");
                            return Err(invalid(&WireError::Unexpected { expected, found }));
                        }
                        // A part of a kind that a later version adds.
                        None => continue,
                    }
                }
            };
            self.moved += chunk.data.len() as u64;
            return Ok(Some(chunk));
        }
    }
}
