use std::collections::{BTreeMap, BTreeSet};

use federated_core::{
    fault::{Fault, ReasonCode},
    ids::ParticipantName,
};
use federated_proto::{refusal, v1, version};
use tonic::{Code, Status};

use super::message::{Directives, SessionId};

/// What a coordinator of a test says in place of a directive.
#[cfg(feature = "test-util")]
pub type Lie = Box<dyn Fn(&ParticipantName, v1::directive::Kind) -> Vec<v1::directive::Kind> + Send + Sync>;

/// Who is connected.
#[derive(Default)]
pub(super) struct Sessions {
    open: BTreeMap<ParticipantName, Session>,
    next: SessionId,
    #[cfg(feature = "test-util")]
    pub(super) lie: Option<Lie>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("open", &self.open).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Session {
    id: SessionId,
    /// The minor version that was agreed.
    minor: u32,
    directives: Directives,
}

impl Sessions {
    /// Opens a session; an earlier one of the same participant ends.
    pub(super) fn open(
        &mut self,
        participant: ParticipantName,
        minor: u32,
        directives: Directives,
    ) -> SessionId {
        self.next += 1;
        let session = Session { id: self.next, minor, directives };
        if let Some(earlier) = self.open.insert(participant, session) {
            let reason = ReasonCode::new("SUPERSEDED_SESSION");
            let message = "this participant attends on another connection now; one process per certificate";
            // A full or closed stream is as good as ended.
            let _ = earlier.directives.try_send(Err(refusal::refuse_with(Code::Aborted, reason, message)));
        }
        self.next
    }

    /// Closes a session; false when it was not the participant's latest.
    pub(super) fn close(&mut self, participant: &ParticipantName, session: SessionId) -> bool {
        let latest = matches!(self.open.get(participant), Some(latest) if latest.id == session);
        if latest {
            self.open.remove(participant);
        }
        latest
    }

    /// Sends a directive; false when the participant is not connected or does not read.
    pub(super) fn send(&self, participant: &ParticipantName, kind: v1::directive::Kind) -> bool {
        #[cfg(feature = "test-util")]
        if let Some(lie) = &self.lie {
            return lie(participant, kind).into_iter().all(|kind| self.send_as_is(participant, kind));
        }
        self.send_as_is(participant, kind)
    }

    fn send_as_is(&self, participant: &ParticipantName, kind: v1::directive::Kind) -> bool {
        let directive = v1::Directive { kind: Some(kind) };
        self.open.get(participant).is_some_and(|session| session.directives.try_send(Ok(directive)).is_ok())
    }

    /// The minor version that a participant speaks; the lowest when it is not connected.
    pub(super) fn minor(&self, participant: &ParticipantName) -> u32 {
        self.open.get(participant).map_or(version::MINOR_MIN, |session| session.minor)
    }

    pub(super) fn present(&self) -> BTreeSet<ParticipantName> {
        self.open.keys().cloned().collect()
    }

    /// Ends every stream, and says why.
    pub(super) fn shut_down(&mut self) {
        let status: Status = refusal::refuse(
            Fault::Environment,
            ReasonCode::new("SHUTTING_DOWN"),
            "the coordinator is shutting down",
        );
        for (_, session) in std::mem::take(&mut self.open) {
            let _ = session.directives.try_send(Err(status.clone()));
        }
    }
}
