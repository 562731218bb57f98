//! Being there: one connection after another, for as long as that can help.

use std::{sync::Arc, time::Duration};

use federated_proto::refusal::Refusal;
use tokio::{sync::mpsc, time::timeout};

use super::{
    Backoff, ClientError, Connection, backoff::Attempts, call::CallError, connection::ConnectError,
    directive, run::Occurrence,
};
use crate::{
    config::CoordinatorAddress,
    transport::{SiteIdentity, TransportError},
};

/// Refusals that trying again cannot change, and one that must not be answered so: after `SUPERSEDED_SESSION` another
/// process attends with this certificate, and two that both come back would push each other out for ever. A session of
/// this process never gets it, since it attends again only when the former connection is gone.
const FINAL: [&str; 6] = [
    "PARTICIPANT_NOT_ENROLLED",
    "CERTIFICATE_SUPERSEDED",
    "CERTIFICATE_INVALID",
    "ROLE_FORBIDDEN",
    "VERSION_UNSUPPORTED",
    "SUPERSEDED_SESSION",
];

/// Connects and attends again and again, and reports what comes. Ends with [`Occurrence::Ended`], or when nobody
/// listens.
pub(super) async fn attend(
    coordinator: CoordinatorAddress,
    identity: Arc<SiteIdentity>,
    backoff: Backoff,
    occurrences: mpsc::Sender<Occurrence>,
) {
    let mut attempts = Attempts::new(backoff);
    loop {
        let Err(error) = once(&coordinator, &identity, &mut attempts, &occurrences).await else {
            return;
        };
        let report = match final_error(error) {
            Ok(ended) => Occurrence::Ended(ended),
            Err(error) => Occurrence::Down { reason: error.to_string(), retry_in: attempts.failed() },
        };
        let wait = match &report {
            Occurrence::Down { retry_in, .. } => Some(*retry_in),
            _ => None,
        };
        let listened = occurrences.send(report).await.is_ok();
        match wait.filter(|_| listened) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return,
        }
    }
}

/// One connection, from its start to its end. `Ok` means that nobody listens any more.
async fn once(
    coordinator: &CoordinatorAddress,
    identity: &SiteIdentity,
    attempts: &mut Attempts,
    occurrences: &mpsc::Sender<Occurrence>,
) -> Result<(), ConnectError> {
    let connection = Connection::open(coordinator, identity).await?;
    let mut directives = connection.attend().await?;
    attempts.succeeded();
    let silence = connection.terms().heartbeat.saturating_mul(3);
    if occurrences.send(Occurrence::Up(connection.clone())).await.is_err() {
        return Ok(());
    }
    loop {
        let next = timeout(silence, directives.message()).await.map_err(|_| silent(silence))?;
        let Some(directive) = next.map_err(|status| connection.error(&status))? else {
            let detail = "the coordinator closed it".to_owned();
            return Err(TransportError::Broken { detail }.into());
        };
        match directive::parse(directive) {
            Ok(None) => {}
            Ok(Some(occurrence)) => {
                if occurrences.send(occurrence).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => tracing::error!(%error, "the coordinator sent a directive that cannot be used"),
        }
    }
}

fn silent(after: Duration) -> TransportError {
    let after = humantime::format_duration(after);
    TransportError::Broken { detail: format!("nothing came from the coordinator for {after}") }
}

/// The error that ends the session; `Err` when another attempt may help.
fn final_error(error: ConnectError) -> Result<ClientError, ConnectError> {
    match error {
        ConnectError::Final(error) => Ok(error),
        ConnectError::Call(CallError::Transport(error)) if error.is_permanent() => {
            Ok(ClientError::Transport(error))
        }
        ConnectError::Call(CallError::Refused(refusal)) if is_final(&refusal) => Ok(refusal.into()),
        other => Err(other),
    }
}

fn is_final(refusal: &Refusal) -> bool {
    FINAL.contains(&refusal.reason.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(reason: &str) -> ConnectError {
        ConnectError::Call(CallError::Refused(Refusal {
            reason: reason.to_owned(),
            message: "for people".to_owned(),
            retry: false,
        }))
    }

    #[test]
    fn only_what_a_person_must_change_ends_the_session() {
        for reason in FINAL {
            let ended = final_error(refusal(reason)).unwrap();
            assert!(ended.to_string().contains(reason), "{ended}");
        }
        assert!(final_error(refusal("COORDINATOR_BUSY")).is_err());
        let broken = TransportError::Broken { detail: String::new() };
        assert!(final_error(broken.into()).is_err());
    }
}
