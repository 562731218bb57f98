//! How an error travels: a gRPC status with a stable reason code.
//!
//! The code stands in the trailer `federated-reason`, the words for people in the status message. What is in either is
//! meant for the peer: it holds no internal text.

use federated_core::fault::{Fault, ReasonCode};
use tonic::{Code, Status, metadata::MetadataValue};

/// The trailer that carries the reason code.
pub const REASON_TRAILER: &str = "federated-reason";
/// Longest message for people, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1_024;

/// Why the other side refused a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code, for instance `UPDATE_NOT_FINITE`.
    pub reason: String,
    /// For people: what was expected, what was found, what to do.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retry: bool,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

/// The one table from whose fault an error is to the status that a peer sees.
#[must_use]
pub fn code_of(fault: Fault) -> Code {
    match fault {
        Fault::Caller => Code::InvalidArgument,
        Fault::Environment => Code::Unavailable,
        Fault::Bug => Code::Internal,
        // `Fault` may grow; what is not known to be ours is the peer's to mend.
        _ => Code::FailedPrecondition,
    }
}

/// Makes the status for a peer.
#[must_use]
pub fn refuse(fault: Fault, reason: ReasonCode, message: &str) -> Status {
    refuse_with(code_of(fault), reason, message)
}

/// Makes the status for a peer, with a code of its own.
#[must_use]
pub fn refuse_with(code: Code, reason: ReasonCode, message: &str) -> Status {
    let mut status = Status::new(code, cut(message));
    status.metadata_mut().insert(REASON_TRAILER, MetadataValue::from_static(reason.as_str()));
    status
}

impl Refusal {
    /// Reads a refusal; `None` when the status is not one of the protocol's, for instance a broken connection.
    #[must_use]
    pub fn from_status(status: &Status) -> Option<Self> {
        let reason = status.metadata().get(REASON_TRAILER)?.to_str().ok()?;
        let retry = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::Aborted);
        Some(Self { reason: reason.chars().take(64).collect(), message: cut(status.message()), retry })
    }
}

/// At most [`MAX_MESSAGE_BYTES`] of a text, cut between characters; control characters become spaces, so that a peer
/// cannot forge a line of a log or move a terminal's cursor.
#[must_use]
pub fn cut(text: &str) -> String {
    let mut clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = (0..=MAX_MESSAGE_BYTES).rev().find(|end| clean.is_char_boundary(*end)).unwrap_or(0);
    clean.truncate(end);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_survives_the_trip() {
        let status = refuse(Fault::Peer, ReasonCode::new("UPDATE_NOT_FINITE"), "tensor `w`: found NaN");
        let refusal = Refusal::from_status(&status).unwrap();
        assert_eq!(refusal.to_string(), "UPDATE_NOT_FINITE: tensor `w`: found NaN");
        assert!(!refusal.retry);
        assert_eq!(Refusal::from_status(&Status::unavailable("connection reset")), None);
    }

    #[test]
    fn long_and_hostile_texts_are_tamed() {
        assert_eq!(cut("a\u{1b}[2Jb\nc"), "a [2Jb c");
        assert_eq!(cut(&"é".repeat(2_000)).len(), MAX_MESSAGE_BYTES);
    }
}
