//! What goes over the network for a task or a job, from start to end; each gives what the machine is told.

use std::sync::Arc;

use federated_core::{ids::TaskId, privacy::secagg::ParticipantMessage, task::TrainTask};
use federated_proto::{refusal::cut, v1};

use super::{
    Backoff, Connection,
    call::{CallError, persist},
    fetch::{blocking, fetch},
    machine::{EndedJob, Input},
    submit::{Delivered, submit},
    worker::told_about_storage,
};
use crate::state::StateFolder;

/// What a transfer works with.
pub(super) struct Site {
    pub(super) connection: Connection,
    pub(super) state: Arc<StateFolder>,
    pub(super) backoff: Backoff,
}

/// Finds the update of a task in the state folder, or sees that its model is there.
pub(super) async fn prepare(site: Site, task: TrainTask) -> Option<Input> {
    let (folder, wanted) = (Arc::clone(&site.state), task.clone());
    let found = blocking(move || folder.find_update(&wanted)).await;
    let id = task.id.clone();
    match found {
        Ok(Some(_)) => return Some(Input::UpdateFound { task: id }),
        Ok(None) => {}
        Err(error) => return failed(id, error.into()),
    }
    let fetched = fetch(&site.connection, &site.state, task.model, &task.layout, site.backoff);
    match fetched.await {
        Ok(()) => Some(Input::ModelReady { task: id }),
        Err(error) => failed(id, error),
    }
}

/// Uploads the update of a task.
pub(super) async fn upload(site: Site, task: TrainTask, resume: bool) -> Option<Input> {
    let submitted = submit(&site.connection, &site.state, &task, resume, site.backoff).await;
    let task = task.id;
    match submitted {
        Ok(Some(Delivered { content, duplicate })) => Some(Input::Submitted { task, content, duplicate }),
        Ok(None) => Some(Input::Failed {
            task,
            reason: "STATE_FAILED".to_owned(),
            message: "the update is no longer in the participant's state folder".to_owned(),
        }),
        Err(CallError::Refused(refusal)) => {
            Some(Input::Refused { task, reason: refusal.reason, message: refusal.message })
        }
        Err(error) => failed(task, error),
    }
}

/// Tells the coordinator that a task will not be done.
pub(super) async fn decline(site: Site, task: TaskId, reason: String, message: String) -> Option<Input> {
    let request = v1::DeclineTaskRequest { task: Some((&task).into()), reason, message: cut(&message) };
    let declined = persist(site.backoff, |_| site.connection.decline(request.clone()));
    match declined.await {
        Err(CallError::Transport(_)) => return None,
        // The round may be over already.
        Err(error) => tracing::debug!(%task, %error, "the coordinator did not note a declined task"),
        Ok(()) => {}
    }
    Some(Input::DeclineNoted { task })
}

/// Answers a stage of secure aggregation.
pub(super) async fn answer(site: Site, task: TaskId, message: ParticipantMessage) -> Option<Input> {
    let request = v1::AnswerSessionRequest { task: Some((&task).into()), message: Some((&message).into()) };
    let answered = persist(site.backoff, |_| site.connection.answer(request.clone()));
    if let Err(error) = answered.await {
        // The round may be over, or goes on without this participant: then the coordinator says so by itself.
        tracing::warn!(%task, stage = %message.stage(), %error, "the coordinator did not take an answer");
    }
    None
}

/// Fetches the newest model of a job that ended, and keeps it as a file.
pub(super) async fn final_model(site: Site, ended: EndedJob) -> Option<Input> {
    let job = ended.job;
    let content = ended.model?;
    let digest = content.digest;
    let fetched = fetch(&site.connection, &site.state, digest, &content.layout, site.backoff).await;
    let model = match fetched {
        Err(CallError::Transport(_)) => return None,
        Err(error) => Err(error),
        Ok(()) => {
            let name = job.clone();
            let read = move || {
                let model = site.state.read_model(&digest, &content.layout)?;
                let path = site.state.save_final(&name, &model)?;
                tracing::info!(job = %name, file = %path.display(), "the final model is saved");
                Ok(model)
            };
            blocking(read).await.map_err(CallError::from)
        }
    };
    let model = model.inspect_err(|error| tracing::error!(%job, %error, "the final model cannot be had"));
    Some(Input::FinalModel { job, model: model.ok() })
}

/// Why a task is declined; `None` for a connection that broke for good, which the attendance reports.
fn failed(task: TaskId, error: CallError) -> Option<Input> {
    tracing::error!(%task, %error, "a task cannot be done");
    let (reason, message) = match error {
        CallError::Transport(_) => return None,
        CallError::Refused(refusal) => ("MODEL_UNAVAILABLE", refusal.to_string()),
        CallError::Answer(error) => ("ANSWER_INVALID", error.to_string()),
        CallError::State(error) => told_about_storage(&error),
    };
    Some(Input::Failed { task, reason: reason.to_owned(), message })
}
