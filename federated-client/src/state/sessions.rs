use std::path::{Path, PathBuf};

use federated_core::{
    ids::{Digest, Fingerprint, JobName, TaskId},
    privacy::secagg::SessionId,
};

use super::{StateError, files};

/// What is noted of a job's last session of secure aggregation: a line of text, so that a person can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionNote {
    pub(crate) round: u32,
    pub(crate) attempt: u32,
    pub(crate) progress: Progress,
}

/// How far a session came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its keys were made.
    Begun,
    /// The update was masked for it.
    Masked { session: SessionId },
    /// It was signed whose updates are summed; `survivors` is the SHA-256 of their names.
    Signed { session: SessionId, survivors: Fingerprint },
    /// It has its result, of this SHA-256, which names this model.
    Resulted { session: SessionId, result: Fingerprint, model: Digest },
    /// The coordinator no longer wants it.
    Withdrawn,
}

impl SessionNote {
    /// Anything else than a note is taken for the latest there can be: no session is begun over a damaged file.
    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let (round, attempt) = (words.next().map(str::parse), words.next().map(str::parse));
        match (round, attempt) {
            (Some(Ok(round)), Some(Ok(attempt))) => {
                Self { round, attempt, progress: Progress::parse(words).unwrap_or(Progress::Begun) }
            }
            _ => Self { round: u32::MAX, attempt: u32::MAX, progress: Progress::Begun },
        }
    }

    /// Whether it is of this task.
    pub(crate) fn is_of(&self, task: &TaskId) -> bool {
        (self.round, self.attempt) == (task.round.get(), task.attempt)
    }
}

impl Progress {
    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let word = words.next()?;
        let mut next = || words.next();
        Some(match word {
            "masked" => Self::Masked { session: next()?.parse().ok()? },
            "signed" => Self::Signed { session: next()?.parse().ok()?, survivors: next()?.parse().ok()? },
            "result" => {
                let (session, result) = (next()?.parse().ok()?, next()?.parse().ok()?);
                Self::Resulted { session, result, model: next()?.parse().ok()? }
            }
            "withdrawn" => Self::Withdrawn,
            _ => Self::Begun,
        })
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Begun => f.write_str("begun"),
            Self::Masked { session } => write!(f, "masked {session}"),
            Self::Signed { session, survivors } => write!(f, "signed {session} {survivors}"),
            Self::Resulted { session, result, model } => write!(f, "result {session} {result} {model}"),
            Self::Withdrawn => f.write_str("withdrawn"),
        }
    }
}

/// The file with the note of a job.
fn path(root: &Path, job: &JobName) -> PathBuf {
    root.join("sessions").join(job.as_str())
}

/// What is noted of a job, if it had a session.
pub(super) fn last(root: &Path, job: &JobName) -> Result<Option<SessionNote>, StateError> {
    let path = path(root, job);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(SessionNote::parse(&text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::read(&path)(error)),
    }
}

/// Notes durably that the session of a task begins. There is one for each task, and rounds only grow: a coordinator that
/// asks for an old one again gets no second answer.
pub(super) fn begin(root: &Path, task: &TaskId) -> Result<(), StateError> {
    if let Some(before) = last(root, &task.job)?
        && (task.round.get(), task.attempt) <= (before.round, before.attempt)
    {
        let found = format!("{}/round {}/attempt {}", task.job, before.round, before.attempt);
        return Err(StateError::SessionBegun { found });
    }
    note(root, task, &Progress::Begun)
}

/// Notes durably how far the session of a task came.
pub(super) fn note(root: &Path, task: &TaskId, progress: &Progress) -> Result<(), StateError> {
    let line = format!("{} {} {progress}\n", task.round, task.attempt);
    files::replace(&path(root, &task.job), &[line.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_and_what_is_none_stands_for_the_latest() {
        let session = SessionId::from([1; 32]);
        let (result, model) = (Fingerprint::from([2; 32]), Digest::from([3; 32]));
        for progress in [
            Progress::Begun,
            Progress::Masked { session },
            Progress::Signed { session, survivors: result },
            Progress::Resulted { session, result, model },
            Progress::Withdrawn,
        ] {
            let note = SessionNote::parse(&format!("3 2 {progress}\n"));
            assert_eq!(note, SessionNote { round: 3, attempt: 2, progress });
        }
        assert_eq!(SessionNote::parse("3 2 signed x").progress, Progress::Begun);
        for damaged in ["", "3", "x y begun", "\0\0\0"] {
            assert_eq!(SessionNote::parse(damaged).round, u32::MAX, "{damaged:?}");
        }
    }
}
