use federated_core::{
    fault::{Fault, ReasonCode},
    ids::ParticipantName,
};
use federated_proto::refusal;
use http::Extensions;
use tonic::{Code, Status};

use super::connection::Peer;
use crate::identity::{IdentityError, OperatorName, PeerIdentity, Role, Roster};

/// The participant that calls, as its certificate says, if it is enrolled with this very certificate.
///
/// Asked on every call, so that a participant that is withdrawn is out at once.
pub(super) fn participant(call: &Extensions, roster: &Roster) -> Result<ParticipantName, Status> {
    admitted(&identity(call)?, roster)
}

/// The participant with this certificate, if it may take part now. An open stream asks again from time to time.
pub(super) fn admitted(identity: &PeerIdentity, roster: &Roster) -> Result<ParticipantName, Status> {
    let Role::Participant(name) = &identity.role else {
        return Err(forbidden("this service is for participants: use a participant's certificate"));
    };
    roster.check(identity).map_err(|error| refused(&error))?;
    Ok(name.clone())
}

/// The operator that calls, as its certificate says.
pub(super) fn operator(call: &Extensions) -> Result<OperatorName, Status> {
    match identity(call)?.role {
        Role::Operator(name) => Ok(name),
        Role::Participant(_) => {
            Err(forbidden("this service is for operators: use an operator's certificate"))
        }
    }
}

/// What the caller's certificate says; a call's extensions hold the connection it came on.
pub(super) fn identity(call: &Extensions) -> Result<PeerIdentity, Status> {
    let Some(peer) = call.get::<Peer>() else {
        return Err(refusal::refuse(
            Fault::Bug,
            ReasonCode::new("INTERNAL"),
            "the connection has no certificate",
        ));
    };
    match peer.identity.as_ref() {
        Ok(identity) => Ok(identity.clone()),
        Err(error) => {
            tracing::warn!(address = %peer.address, %error, "a certificate names nobody");
            Err(refused(error))
        }
    }
}

fn forbidden(message: &str) -> Status {
    refusal::refuse_with(Code::PermissionDenied, ReasonCode::new("ROLE_FORBIDDEN"), message)
}

fn refused(error: &IdentityError) -> Status {
    match error.reason() {
        Some(reason) => refusal::refuse_with(Code::Unauthenticated, reason, &error.to_string()),
        None => {
            tracing::error!(%error, "cannot check who calls");
            let message = "the coordinator cannot check certificates at present; try again later";
            refusal::refuse(Fault::Environment, ReasonCode::new("STORAGE_UNAVAILABLE"), message)
        }
    }
}
