//! What the coordinator says came of a session: checked against what this participant took part in, kept for whoever has to
//! show it, and compared with the models that follow.
//!
//! What a result is compared with is on disk (`sessions/JOB` in the state folder), so a participant that was started anew
//! judges as it would have before.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use federated_core::{
    fault::ReasonCode,
    ids::{Digest, Fingerprint, JobName, ParticipantName, RoundNumber, TaskId},
    privacy::secagg::{KeyError, SessionId, SignedResult, SumResult, VerifyingPublic},
    task::TrainTask,
};

use super::machine::{EndedJob, Input};
use crate::{
    event::{JobOutcome, ParticipantEvent},
    state::{Progress, SessionNote, StateError, StateFolder},
};

/// How results are judged.
#[derive(Clone, Debug)]
pub(crate) struct ResultRules {
    /// Who this participant is.
    pub(crate) name: ParticipantName,
    /// The coordinator's key, where it was agreed on.
    pub(crate) key: Option<VerifyingPublic>,
    /// Whether a job without good results gets no further update.
    pub(crate) required: bool,
}

/// Why what the coordinator says of a sum cannot be so.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResultError {
    #[error("expected a result of a session that this participant took part in, found session {session}")]
    NotMine { session: SessionId },
    #[error("expected a result of session {expected}, found one of {found}")]
    OtherSession { expected: SessionId, found: SessionId },
    #[error("expected this participant among those whose updates were summed, found {found} others")]
    LeftOut { found: usize },
    #[error("the updates of {found} participants were summed, others than this participant has signed for")]
    OtherSurvivors { found: usize },
    #[error(
        "the result is not signed by the pinned secure_aggregation.coordinator_key: {source}; compare it with what \
         `federated-coordinator signing-key` prints"
    )]
    Signature { source: KeyError },
    #[error("another result of session {session} came before: the coordinator says two things of one sum")]
    Second { session: SessionId },
    #[error(
        "the result of round {round} names the model {expected}, and the job goes on or ends with {found}"
    )]
    OtherModel { round: u32, expected: Digest, found: Digest },
    #[error(
        "expected the signed result of round {round}, attempt {attempt}, in whose sum this participant's update is; none came"
    )]
    Missing { round: u32, attempt: u32 },
}

impl ResultError {
    /// What the coordinator is told when a task is declined for it.
    pub(super) const fn reason(&self) -> ReasonCode {
        ReasonCode::new("SECAGG_RESULT")
    }
}

/// What is decided about a result.
enum Judged {
    /// It is good and new.
    New,
    /// It is known, or of a session before the last.
    Old,
}

/// The results of this participant's sessions.
#[derive(Debug)]
pub(super) struct SumResults {
    rules: ResultRules,
    state: Arc<StateFolder>,
    /// How many rounds each job has.
    rounds: BTreeMap<JobName, u32>,
}

impl SumResults {
    pub(super) const fn new(rules: ResultRules, state: Arc<StateFolder>) -> Self {
        Self { rules, state, rounds: BTreeMap::new() }
    }

    /// Takes a result; with what the application is told.
    pub(super) fn told(&self, signed: &SignedResult) -> Option<ParticipantEvent> {
        let SumResult { task, group, model } = &signed.result;
        let note = self.note(&task.job)?;
        match self.judge(note.as_ref(), signed) {
            Ok(Judged::Old) => None,
            Ok(Judged::New) => {
                let (session, result) = (group.session, signed.result.hash());
                let noted = Progress::Resulted { session, result, model: *model };
                // In this order: a line may be there twice after a crash, and never not at all.
                let kept = self.state.append_result(&self.line(signed));
                if let Err(error) = kept.and_then(|()| self.state.note_session(task, &noted)) {
                    tracing::error!(%task, %error, "a result of secure aggregation cannot be kept");
                    return None;
                }
                Some(ParticipantEvent::SumSigned {
                    task: task.clone(),
                    session,
                    survivors: group.survivors.clone(),
                    sum: group.sum,
                    model: *model,
                })
            }
            Err(error) => Some(refused(task, &error)),
        }
    }

    fn judge(&self, note: Option<&SessionNote>, signed: &SignedResult) -> Result<Judged, ResultError> {
        let SumResult { task, group, .. } = &signed.result;
        let (session, found) = (group.session, group.survivors.len());
        let Some(note) = note else { return Err(ResultError::NotMine { session }) };
        if (task.round.get(), task.attempt) < (note.round, note.attempt) {
            return Ok(Judged::Old);
        }
        let expected = match &note.progress {
            Progress::Masked { session }
            | Progress::Signed { session, .. }
            | Progress::Resulted { session, .. }
                if note.is_of(task) =>
            {
                *session
            }
            _ => return Err(ResultError::NotMine { session }),
        };
        if session != expected {
            return Err(ResultError::OtherSession { expected, found: session });
        }
        if let Some(key) = &self.rules.key {
            signed.verify(key).map_err(|source| ResultError::Signature { source })?;
        }
        if !group.survivors.contains(&self.rules.name) {
            return Err(ResultError::LeftOut { found });
        }
        match &note.progress {
            Progress::Signed { survivors, .. } if *survivors != names_hash(&group.survivors) => {
                Err(ResultError::OtherSurvivors { found })
            }
            Progress::Resulted { result, .. } if *result == signed.result.hash() => Ok(Judged::Old),
            Progress::Resulted { .. } => Err(ResultError::Second { session }),
            _ => Ok(Judged::New),
        }
    }

    /// One line of JSON. No value needs an escape: they are names, numbers and hexadecimal.
    fn line(&self, SignedResult { result, signature }: &SignedResult) -> String {
        let SumResult { task, group, model } = result;
        let survivors: Vec<String> = group.survivors.iter().map(|name| format!("\"{name}\"")).collect();
        let key = self.rules.key.map_or("null".to_owned(), |key| format!("\"{key}\""));
        format!(
            "{{\"job\":\"{}\",\"round\":{},\"attempt\":{},\"session\":\"{}\",\"survivors\":[{}],\"sum\":\"{}\",\
             \"model\":\"{model}\",\"signature\":\"{signature}\",\"key\":{key}}}\n",
            task.job,
            task.round,
            task.attempt,
            group.session,
            survivors.join(","),
            group.sum,
        )
    }

    /// Looks at a task with what came of the session before it. What is wrong then, and whether that is why the task is
    /// declined.
    pub(super) fn doubt(&mut self, task: &TrainTask) -> Option<(ParticipantEvent, Option<Input>)> {
        task.secure.as_ref()?;
        self.rounds.insert(task.id.job.clone(), task.rounds);
        let note = self.note(&task.id.job)??;
        let round = task.id.round.get();
        if round <= note.round {
            return None;
        }
        let directly = round == note.round.saturating_add(1);
        let error = self.compare(&note, directly.then_some(task.model))?;
        let id = &task.id;
        let declined = Input::Failed {
            task: id.clone(),
            reason: error.reason().as_str().to_owned(),
            message: error.to_string(),
        };
        Some((refused(id, &error), self.rules.required.then_some(declined)))
    }

    /// Compares the end of a job with what came of its last session.
    fn ended(&mut self, ended: &EndedJob) -> Option<ParticipantEvent> {
        let rounds = self.rounds.remove(&ended.job)?;
        let note = self.note(&ended.job)??;
        if ended.outcome != JobOutcome::Completed || note.round != rounds {
            return None;
        }
        let error = self.compare(&note, ended.model.as_ref().map(|model| model.digest))?;
        let round = RoundNumber::new(note.round)?;
        let task = TaskId { job: ended.job.clone(), round, attempt: note.attempt };
        Some(refused(&task, &error))
    }

    /// What does not fit what is noted: its round was completed, and gave this model if that is known.
    fn compare(&self, note: &SessionNote, model: Option<Digest>) -> Option<ResultError> {
        let SessionNote { round, attempt, .. } = *note;
        match (&note.progress, model) {
            (Progress::Resulted { model: expected, .. }, Some(found)) if *expected != found => {
                Some(ResultError::OtherModel { round, expected: *expected, found })
            }
            // Without a key to check it with, nobody expects that results come at all.
            (Progress::Signed { .. }, _) if self.rules.key.is_some() => {
                Some(ResultError::Missing { round, attempt })
            }
            _ => None,
        }
    }

    /// Hears what the machine is told of: jobs that end, and sessions from which nothing will come.
    pub(super) fn hear(&mut self, input: &Input) -> Option<ParticipantEvent> {
        match input {
            Input::JobEnded(ended) => self.ended(ended),
            Input::Withdrawn { task, .. } => {
                let note = self.note(&task.job)??;
                if note.is_of(task)
                    && matches!(note.progress, Progress::Masked { .. } | Progress::Signed { .. })
                {
                    logged(&task.job, self.state.note_session(task, &Progress::Withdrawn));
                }
                None
            }
            _ => None,
        }
    }

    fn note(&self, job: &JobName) -> Option<Option<SessionNote>> {
        logged(job, self.state.session_note(job))
    }
}

/// What a note keeps of the names of those whose updates are summed.
pub(super) fn names_hash(names: &BTreeSet<ParticipantName>) -> Fingerprint {
    let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
    Fingerprint::of(lines.as_bytes())
}

fn refused(task: &TaskId, error: &ResultError) -> ParticipantEvent {
    let (reason, message) = (error.reason().as_str().to_owned(), error.to_string());
    ParticipantEvent::ResultRefused { task: task.clone(), reason, message }
}

fn logged<T>(job: &JobName, result: Result<T, StateError>) -> Option<T> {
    result.inspect_err(|error| tracing::error!(%job, %error, "the note of a session cannot be used")).ok()
}

#[cfg(test)]
mod tests;
