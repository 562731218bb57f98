//! Messages as they travel.

use anyhow::{Context, Result};
use federated_core::{
    ids::TaskId,
    privacy::secagg::{CoordinatorMessage, ParticipantMessage},
};
use federated_proto::v1::{self, directive::Kind};
use prost::Message;

/// A participant's answer, as AnswerSession takes it.
pub(crate) fn answer(task: &TaskId, message: &ParticipantMessage) -> Vec<u8> {
    let (task, message) = (Some(task.into()), Some(message.into()));
    v1::AnswerSessionRequest { task, message }.encode_to_vec()
}

pub(crate) fn read_answer(bytes: &[u8]) -> Result<ParticipantMessage> {
    let (_, message) = <(TaskId, _)>::try_from(v1::AnswerSessionRequest::decode(bytes)?)?;
    Ok(message)
}

/// What the coordinator says, as Attend tells it.
pub(crate) fn directive(task: &TaskId, message: &CoordinatorMessage) -> Vec<u8> {
    let (task, message) = (Some(task.into()), Some(message.into()));
    v1::Directive { kind: Some(Kind::Secure(v1::SecureDirective { task, message })) }.encode_to_vec()
}

pub(crate) fn read_directive(bytes: &[u8]) -> Result<CoordinatorMessage> {
    let Some(Kind::Secure(told)) = v1::Directive::decode(bytes)?.kind else {
        anyhow::bail!("expected a directive of secure aggregation, found another");
    };
    Ok(told.message.context("expected a message in the directive, found none")?.try_into()?)
}
