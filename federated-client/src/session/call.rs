//! Calls that are made again until they are answered.

use federated_proto::{WireError, refusal::Refusal};
use tonic::Status;

use super::{Backoff, backoff::Attempts};
use crate::{
    state::StateError,
    transport::{Link, TransportError},
};

/// Why a call did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The coordinator said no.
    #[error("{0}")]
    Refused(Refusal),
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The answer breaks the protocol.
    #[error("the coordinator's answer cannot be used: {0}")]
    Answer(#[from] WireError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

impl CallError {
    /// Reads what a failed call says.
    pub(super) fn new(link: &Link, status: &Status) -> Self {
        Refusal::from_status(status).map_or_else(|| Self::Transport(link.explain(status)), Self::Refused)
    }

    /// Whether the same call may succeed later.
    fn may_be_repeated(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.retry,
            Self::Transport(error) => !error.is_permanent(),
            Self::Answer(WireError::Truncated { .. }) => true,
            Self::Answer(_) | Self::State(_) => false,
        }
    }
}

/// Makes a call until it is answered for good, with waits in between. The argument counts the attempts from 0.
pub(super) async fn persist<T, F, A>(backoff: Backoff, mut attempt: F) -> Result<T, CallError>
where
    F: FnMut(u32) -> A,
    A: Future<Output = Result<T, CallError>>,
{
    let mut attempts = Attempts::new(backoff);
    let mut number = 0;
    loop {
        match attempt(number).await {
            Err(error) if error.may_be_repeated() => {
                let wait = attempts.failed();
                tracing::debug!(%error, ?wait, "a call failed and will be repeated");
                tokio::time::sleep(wait).await;
                number = number.saturating_add(1);
            }
            result => return result,
        }
    }
}
