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

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::*;

    const AT_ONCE: Backoff = Backoff { min: Duration::ZERO, max: Duration::ZERO };

    fn refused(retry: bool) -> CallError {
        let (reason, message) = ("A_REASON".to_owned(), "words".to_owned());
        CallError::Refused(Refusal { reason, message, retry })
    }

    #[tokio::test]
    async fn a_call_is_repeated_until_it_is_answered() {
        let answer = persist(AT_ONCE, async |number| match number {
            0 => Err(refused(true)),
            1 => Err(TransportError::Broken { detail: String::new() }.into()),
            2 => Err(WireError::Truncated { expected: 2, found: 1 }.into()),
            number => Ok(number),
        });
        assert_eq!(answer.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_cannot_change_is_not_repeated() {
        let calls = Cell::new(0);
        let answer = persist(AT_ONCE, |_| {
            calls.set(calls.get() + 1);
            std::future::ready(Err::<(), _>(refused(false)))
        });
        let error = answer.await.unwrap_err();
        assert_eq!((error.to_string().as_str(), calls.get()), ("A_REASON: words", 1));
    }
}
