//! From the coordinator's messages to what the machine decides on.

use federated_core::ids::TaskId;
use federated_proto::{
    WireError,
    convert::ModelContent,
    refusal::cut,
    v1::{self, directive::Kind, secure_directive::Message as Told},
};

use super::{
    machine::{EndedJob, Input},
    run::Occurrence,
};
use crate::event::JobOutcome;

/// What a directive asks; `None` for a sign of life and for a kind of a later version.
pub(super) fn parse(directive: v1::Directive) -> Result<Option<Occurrence>, WireError> {
    let input = match directive.kind {
        None | Some(Kind::Heartbeat(_)) => None,
        Some(Kind::Secure(told)) if matches!(told.message, Some(Told::Result(_))) => {
            return Ok(Some(Occurrence::Result(Box::new(told.try_into()?))));
        }
        Some(Kind::Secure(told)) => {
            let task = task_id(told.task)?;
            let message = told.message.ok_or(WireError::Missing { field: "secure.message" })?;
            return Ok(Some(Occurrence::Told(task, message.try_into()?)));
        }
        Some(Kind::Train(task)) => Some(train(task)?),
        Some(Kind::Withdraw(withdraw)) => Some(Input::Withdrawn {
            task: task_id(withdraw.id)?,
            reason: cut(&withdraw.reason),
            message: cut(&withdraw.message),
        }),
        Some(Kind::JobEnded(ended)) => Some(Input::JobEnded(job_ended(ended)?)),
    };
    Ok(input.map(Occurrence::Input))
}

/// A task that cannot be parsed but can be named is declined, so that the round does not wait for it.
fn train(wire: v1::TrainTask) -> Result<Input, WireError> {
    let id = task_id(wire.id.clone())?;
    Ok(match wire.try_into() {
        Ok(task) => Input::Train(task),
        Err(error) => {
            let error: WireError = error;
            Input::Unusable {
                task: id,
                reason: error.reason().as_str().to_owned(),
                message: cut(&error.to_string()),
            }
        }
    })
}

fn task_id(wire: Option<v1::TaskId>) -> Result<TaskId, WireError> {
    wire.ok_or(WireError::Missing { field: "task" })?.try_into()
}

fn job_ended(wire: v1::JobEnded) -> Result<EndedJob, WireError> {
    let outcome = match wire.outcome() {
        v1::JobOutcome::Completed => JobOutcome::Completed,
        v1::JobOutcome::Failed => JobOutcome::Failed,
        v1::JobOutcome::Stopped => JobOutcome::Stopped,
        v1::JobOutcome::Unspecified => JobOutcome::Other,
    };
    let field = "job_ended.job";
    Ok(EndedJob {
        job: wire.job.parse().map_err(|source| WireError::Id { field, source })?,
        outcome,
        message: cut(&wire.message),
        model: wire.model.map(ModelContent::try_from).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::session::fixture;

    fn directive(kind: Kind) -> v1::Directive {
        v1::Directive { kind: Some(kind) }
    }

    #[test]
    fn signs_of_life_and_unknown_kinds_ask_nothing() {
        assert!(parse(directive(Kind::Heartbeat(v1::Heartbeat {}))).unwrap().is_none());
        assert!(parse(v1::Directive { kind: None }).unwrap().is_none());
    }

    #[test]
    fn a_task_that_cannot_be_done_but_named_is_declined() {
        let task = fixture::task("heart", 1);
        let wire = v1::TrainTask::new(&task, Duration::from_secs(1));
        let input = parse(directive(Kind::Train(wire.clone()))).unwrap();
        assert!(matches!(input, Some(Occurrence::Input(Input::Train(parsed))) if parsed == task));
        let broken = v1::TrainTask { local_epochs: 0, ..wire.clone() };
        let input = parse(directive(Kind::Train(broken))).unwrap();
        assert!(
            matches!(input, Some(Occurrence::Input(Input::Unusable { task: id, reason, .. })) if id == task.id && reason == "MESSAGE_INVALID")
        );
        assert!(parse(directive(Kind::Train(v1::TrainTask { id: None, ..wire }))).is_err());
    }

    #[test]
    fn an_unknown_outcome_is_still_an_end() {
        let ended =
            v1::JobEnded { job: "heart".to_owned(), outcome: 99, message: "a\nb".to_owned(), model: None };
        let input = parse(directive(Kind::JobEnded(ended))).unwrap();
        assert!(
            matches!(input, Some(Occurrence::Input(Input::JobEnded(EndedJob { outcome: JobOutcome::Other, message, .. }))) if message == "a b")
        );
    }
}
