use std::{
    fs,
    path::{Path, PathBuf},
};

use federated_core::{
    compression::{CompressionError, ErrorFeedback},
    ids::{Digest, TaskId},
    model::{bytes_of, values_from_le_bytes},
};

use super::{StateError, files};

/// What the file of a residual starts with.
const MAGIC: &[u8; 22] = b"federated.residual.v1\n";
/// [`MAGIC`] and the digest of the values.
const HEADER: usize = MAGIC.len() + 32;
/// What the name of a residual ends with whose update has no receipt yet.
const TENTATIVE: &str = ".tentative";

/// The residuals of a job: for each task whose update was encoded, what was left out until then.
///
/// A residual counts from the receipt of its update on. It is the base of the next *round*: another attempt at the same
/// round means that the update of the former one never became part of a model, and starts from what was before.
pub(super) struct Residuals {
    folder: PathBuf,
}

/// Round and attempt.
type Place = (u32, u32);

impl Residuals {
    pub(super) const fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What to add to the delta of this task; all zeros when nothing was left out, or what is there is of another model
    /// or damaged.
    pub(super) fn before(&self, task: &TaskId, elements: usize) -> Result<ErrorFeedback, StateError> {
        let Some(base) = self.base(task)? else { return Ok(ErrorFeedback::new(elements)) };
        let path = self.path(base);
        let bytes = fs::read(&path).map_err(StateError::read(&path))?;
        Ok(read(&bytes, elements).unwrap_or_else(|| {
            tracing::warn!(%task, path = %path.display(), "what was left out of earlier updates is damaged: it is lost");
            ErrorFeedback::new(elements)
        }))
    }

    /// Keeps what this task leaves out, until its update is confirmed or discarded. Those that no task can need any more
    /// go.
    pub(super) fn propose(&self, task: &TaskId, feedback: &ErrorFeedback) -> Result<(), StateError> {
        files::create_folder(&self.folder)?;
        let base = self.base(task)?.map(|base| self.path(base));
        for path in files::list(&self.folder)? {
            if Some(&path) != base.as_ref() {
                files::remove(&path)?;
            }
        }
        let values = bytes_of(feedback.residual());
        files::put(&self.tentative(task), &[MAGIC, Digest::of(values).as_bytes(), values])
    }

    /// The task's update has its receipt.
    pub(super) fn confirm(&self, task: &TaskId) -> Result<(), StateError> {
        let path = self.path(place(task));
        match fs::rename(self.tentative(task), &path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StateError::write(&path)(error))
            }
            _ => Ok(()),
        }
    }

    /// The task's update is thrown away; if it has its receipt, nothing changes.
    pub(super) fn discard(&self, task: &TaskId) -> Result<(), StateError> {
        files::remove(&self.tentative(task))
    }

    /// The newest residual that counts and is of an earlier round.
    fn base(&self, task: &TaskId) -> Result<Option<Place>, StateError> {
        Ok(self.kept()?.into_iter().filter(|place| place.0 < task.round.get()).max())
    }

    /// The tasks that have a residual which counts.
    fn kept(&self) -> Result<Vec<Place>, StateError> {
        Ok(files::list(&self.folder)?.iter().filter_map(|path| parse(path)).collect())
    }

    fn path(&self, (round, attempt): Place) -> PathBuf {
        self.folder.join(format!("{round}.{attempt}"))
    }

    fn tentative(&self, task: &TaskId) -> PathBuf {
        files::with_suffix(&self.path(place(task)), TENTATIVE)
    }
}

fn place(task: &TaskId) -> Place {
    (task.round.get(), task.attempt)
}

fn parse(path: &Path) -> Option<Place> {
    let (round, attempt) = path.file_name()?.to_str()?.split_once('.')?;
    Some((round.parse().ok()?, attempt.parse().ok()?))
}

fn read(bytes: &[u8], elements: usize) -> Option<ErrorFeedback> {
    let (header, values) = bytes.split_at_checked(HEADER)?;
    let (magic, digest) = header.split_at_checked(MAGIC.len())?;
    let whole = magic == MAGIC && digest == Digest::of(values).as_bytes() && values.len() == elements * 4;
    let residual = |values: &[u8]| -> Result<ErrorFeedback, CompressionError> {
        ErrorFeedback::from_residual(values_from_le_bytes(values))
    };
    whole.then(|| residual(values).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use federated_core::ids::RoundNumber;

    use super::*;

    fn task(round: u32, attempt: u32) -> TaskId {
        TaskId { job: "heart".parse().unwrap(), round: RoundNumber::new(round).unwrap(), attempt }
    }

    fn feedback(value: f32) -> ErrorFeedback {
        ErrorFeedback::from_residual(vec![value; 3]).unwrap()
    }

    fn residuals() -> (tempfile::TempDir, Residuals) {
        let root = tempfile::tempdir().unwrap();
        let residuals = Residuals::in_folder(root.path().join("residual/heart"));
        (root, residuals)
    }

    /// Does a task up to its receipt.
    fn confirmed(residuals: &Residuals, task: &TaskId, value: f32) {
        residuals.propose(task, &feedback(value)).unwrap();
        residuals.confirm(task).unwrap();
    }

    #[test]
    fn a_residual_counts_from_the_receipt_on() {
        let (_root, residuals) = residuals();
        assert_eq!(residuals.before(&task(1, 1), 3).unwrap(), ErrorFeedback::new(3));
        residuals.propose(&task(1, 1), &feedback(1.0)).unwrap();
        assert_eq!(residuals.before(&task(2, 1), 3).unwrap(), ErrorFeedback::new(3), "no receipt yet");
        residuals.confirm(&task(1, 1)).unwrap();
        residuals.discard(&task(1, 1)).unwrap();
        assert_eq!(residuals.before(&task(2, 1), 3).unwrap(), feedback(1.0));
        residuals.propose(&task(2, 1), &feedback(2.0)).unwrap();
        residuals.discard(&task(2, 1)).unwrap();
        residuals.confirm(&task(2, 1)).unwrap();
        assert_eq!(residuals.before(&task(3, 1), 3).unwrap(), feedback(1.0), "it was thrown away");
    }

    #[test]
    fn an_attempt_that_was_abandoned_after_the_receipt_loses_nothing() {
        let (_root, residuals) = residuals();
        confirmed(&residuals, &task(1, 1), 1.0);
        confirmed(&residuals, &task(2, 1), 2.0);
        assert_eq!(residuals.before(&task(2, 2), 3).unwrap(), feedback(1.0));
        confirmed(&residuals, &task(2, 2), 3.0);
        assert_eq!(residuals.before(&task(3, 1), 3).unwrap(), feedback(3.0));
        confirmed(&residuals, &task(3, 1), 4.0);
        let mut kept = residuals.kept().unwrap();
        kept.sort_unstable();
        assert_eq!(kept, [(2, 2), (3, 1)]);
        residuals.propose(&task(3, 2), &feedback(5.0)).unwrap();
        residuals.propose(&task(4, 1), &feedback(6.0)).unwrap();
        let mut names = files::list(&residuals.folder).unwrap();
        names.sort();
        assert_eq!(names, [residuals.path((2, 2)), residuals.tentative(&task(4, 1))]);
    }

    #[test]
    fn a_residual_that_is_damaged_or_of_another_model_is_as_none() {
        let (_root, residuals) = residuals();
        confirmed(&residuals, &task(1, 1), 1.0);
        assert_eq!(residuals.before(&task(2, 1), 4).unwrap(), ErrorFeedback::new(4));
        let path = residuals.path((1, 1));
        let bytes = fs::read(&path).unwrap();
        for damaged in [&bytes[..bytes.len() - 4], b"short"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(residuals.before(&task(2, 1), 3).unwrap(), ErrorFeedback::new(3));
        }
        fs::write(&path, bytes).unwrap();
        assert_eq!(residuals.before(&task(2, 1), 3).unwrap(), feedback(1.0));
    }
}
