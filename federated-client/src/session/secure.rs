//! This participant's side of secure aggregation: one session for each job, beside its training.
//!
//! The protocol itself is the core's ([`ParticipantSession`]); here it meets the clock-less facts of a site: what was noted
//! durably, who waits for masks, what goes to the coordinator.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use federated_core::{
    ids::{JobName, TaskId},
    privacy::secagg::{
        CoordinatorMessage, Mask, ParticipantError, ParticipantMessage, ParticipantProtocol as _,
        ParticipantSession, Reply, Site, participant::AdvertisedKeys,
    },
    task::TrainTask,
};
use federated_proto::refusal::cut;
use rand_chacha::ChaCha20Rng;

use super::{machine::Input, result::names_hash};
use crate::state::{Progress, StateError, StateFolder};

/// Where the trainer's thread waits for what its update is masked with.
#[derive(Clone, Debug, Default)]
pub(super) struct MaskSlot(Arc<(Mutex<Slot>, Condvar)>);

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Empty,
    Full(Vec<Mask>),
    Closed,
}

impl MaskSlot {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self, masks: Vec<Mask>) {
        *self.lock() = Slot::Full(masks);
        self.0.1.notify_all();
    }

    fn close(&self) {
        *self.lock() = Slot::Closed;
        self.0.1.notify_all();
    }

    /// Waits for the masks, which are given once; `None` when there will be none, or were.
    pub(super) fn wait(&self) -> Option<Vec<Mask>> {
        let waiting = self.0.1.wait_while(self.lock(), |slot| matches!(slot, Slot::Empty));
        let mut slot = waiting.unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Closed) {
            Slot::Full(masks) => Some(masks),
            Slot::Empty | Slot::Closed => None,
        }
    }
}

/// What follows from a message.
#[derive(Debug)]
pub(super) enum Step {
    /// This goes to the coordinator.
    Answer { task: TaskId, message: ParticipantMessage },
    /// This the machine has to know.
    Input(Input),
}

#[derive(Debug)]
struct Open {
    task: TaskId,
    session: ParticipantSession,
    masks: MaskSlot,
}

impl Drop for Open {
    /// A trainer that waits for masks waits no longer.
    fn drop(&mut self) {
        self.masks.close();
    }
}

/// The sessions of this participant.
#[derive(Debug)]
pub(super) struct SecureSessions {
    site: Option<Arc<Site>>,
    entropy: ChaCha20Rng,
    state: Arc<StateFolder>,
    open: BTreeMap<JobName, Open>,
}

impl SecureSessions {
    /// None yet. Without a `site` tasks with secure aggregation are declined.
    pub(super) const fn new(site: Option<Arc<Site>>, entropy: ChaCha20Rng, state: Arc<StateFolder>) -> Self {
        Self { site, entropy, state, open: BTreeMap::new() }
    }

    /// Opens the session of a task, unless it is open or the task has none. A session that an earlier process had is lost
    /// with its secrets: this participant has dropped out of it.
    pub(super) fn begin(&mut self, task: &TrainTask) -> Option<Step> {
        let header = task.header()?;
        if self.open.get(&task.id.job).is_some_and(|open| open.task == task.id) {
            return None;
        }
        let failed = |reason: &str, message: String| Some(Step::Input(failed(&task.id, reason, &message)));
        let Some(site) = &self.site else {
            let message = "this site has no [secure_aggregation] in its configuration";
            return failed("SECAGG_NO_KEYS", message.to_owned());
        };
        match self.state.begin_session(&task.id) {
            Ok(()) => {}
            Err(error @ StateError::SessionBegun { .. }) => {
                return failed("SECAGG_SESSION_LOST", error.to_string());
            }
            Err(error) => return Some(Step::Input(state_failed(&task.id, &error))),
        }
        let begun = AdvertisedKeys::begin(Arc::clone(site), header, &mut self.entropy);
        let message = ParticipantMessage::AdvertiseKeys(begun.1.clone());
        let session = ParticipantSession::new(begun);
        let open = Open { task: task.id.clone(), session, masks: MaskSlot::default() };
        self.open.insert(task.id.job.clone(), open);
        Some(Step::Answer { task: task.id.clone(), message })
    }

    /// Where the trainer waits for the masks of a task.
    pub(super) fn masks(&self, task: &TaskId) -> Option<MaskSlot> {
        let open = self.open.get(&task.job).filter(|open| open.task == *task)?;
        Some(open.masks.clone())
    }

    /// Takes what the coordinator says in a session.
    pub(super) fn told(&mut self, task: &TaskId, message: CoordinatorMessage) -> Option<Step> {
        let Some(open) = self.open.get_mut(&task.job).filter(|open| open.task == *task) else {
            // Lost with an earlier process: the others need not wait for an answer.
            let message =
                "this participant has no such session: it was started anew, or has left it".to_owned();
            let (task, reason) = (task.clone(), "SECAGG_SESSION_LOST".to_owned());
            return Some(Step::Input(Input::Unusable { task, reason, message }));
        };
        let message = match open.session.handle(message, &mut self.entropy) {
            Ok(Reply::Nothing) => return None,
            Ok(Reply::Send(message)) => message,
            Ok(Reply::RecordAndSend(signed)) => {
                if let Err(error) = self.state.note_session(task, &progress(&open.session)) {
                    self.close(task);
                    return Some(Step::Input(state_failed(task, &error)));
                }
                ParticipantMessage::Consistency(signed)
            }
            Ok(Reply::Mask) => match open.session.masks() {
                Ok(masks) => {
                    if let Err(error) = self.state.note_session(task, &progress(&open.session)) {
                        self.close(task);
                        return Some(Step::Input(state_failed(task, &error)));
                    }
                    open.masks.fill(masks);
                    return None;
                }
                Err(error) => return Some(self.left(task, &error)),
            },
            Ok(_) => return None,
            Err(error) => return Some(self.left(task, &error)),
        };
        Some(Step::Answer { task: task.clone(), message })
    }

    /// What was said last in every session, to be said again on a new connection.
    pub(super) fn again(&self) -> Vec<Step> {
        let last = |open: &Open| {
            Some(Step::Answer { task: open.task.clone(), message: open.session.sent()?.clone() })
        };
        self.open.values().filter_map(last).collect()
    }

    /// Ends the session of a task; its secrets are gone.
    pub(super) fn close(&mut self, task: &TaskId) {
        if self.open.get(&task.job).is_some_and(|open| open.task == *task) {
            self.open.remove(&task.job);
        }
    }

    fn left(&mut self, task: &TaskId, error: &ParticipantError) -> Step {
        tracing::error!(%task, %error, "leaves secure aggregation; nothing is revealed");
        self.close(task);
        Step::Input(failed(task, error.reason().as_str(), &error.to_string()))
    }
}

/// What is noted of a session that has signed, or has masked its update.
fn progress(session: &ParticipantSession) -> Progress {
    let survivors = session.survivors();
    match session.id() {
        None => Progress::Begun,
        Some(session) if survivors.is_empty() => Progress::Masked { session },
        Some(session) => Progress::Signed { session, survivors: names_hash(&survivors) },
    }
}

fn failed(task: &TaskId, reason: &str, message: &str) -> Input {
    Input::Failed { task: task.clone(), reason: reason.to_owned(), message: cut(message) }
}

fn state_failed(task: &TaskId, error: &StateError) -> Input {
    tracing::error!(%task, %error, "the state folder failed");
    let (reason, message) = super::worker::told_about_storage(error);
    failed(task, reason, &message)
}
