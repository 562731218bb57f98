use std::path::{Path, PathBuf};

use federated_core::ids::{JobName, TaskId};

use super::{StateError, files};

/// What is noted of a job's last session of secure aggregation: a line of text, so that a person can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    round: u32,
    attempt: u32,
}

impl Note {
    fn of(task: &TaskId) -> Self {
        Self { round: task.round.get(), attempt: task.attempt }
    }

    /// Anything else than a note is taken for the latest there can be: no session is begun over a damaged file.
    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace().map(str::parse);
        match (words.next(), words.next()) {
            (Some(Ok(round)), Some(Ok(attempt))) => Self { round, attempt },
            _ => Self { round: u32::MAX, attempt: u32::MAX },
        }
    }
}

/// The file with the note of a job.
fn path(root: &Path, job: &JobName) -> PathBuf {
    root.join("sessions").join(job.as_str())
}

/// Notes durably that the session of a task begins. There is one for each task, and rounds only grow: a coordinator that
/// asks for an old one again gets no second answer.
pub(super) fn begin(root: &Path, task: &TaskId) -> Result<(), StateError> {
    let path = path(root, &task.job);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let (before, now) = (Note::parse(&text), Note::of(task));
            if (now.round, now.attempt) <= (before.round, before.attempt) {
                let found = format!("{}/round {}/attempt {}", task.job, before.round, before.attempt);
                return Err(StateError::SessionBegun { found });
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(StateError::read(&path)(error)),
    }
    write(&path, task, "begun")
}

/// Notes durably that the survivors of a task's session were signed.
pub(super) fn signed(root: &Path, task: &TaskId) -> Result<(), StateError> {
    write(&path(root, &task.job), task, "signed")
}

fn write(path: &Path, task: &TaskId, word: &str) -> Result<(), StateError> {
    let line = format!("{} {} {word}\n", task.round, task.attempt);
    files::replace(path, &[line.as_bytes()])
}
