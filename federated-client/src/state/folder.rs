use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

use federated_core::{
    ids::{Digest, JobName, TaskId},
    model::{ModelLayout, ModelParameters, to_safetensors},
    task::TrainTask,
    update::ClientUpdate,
};

use super::{PartialModel, StateError, StoredUpdate, files};

/// A participant's folder, locked for as long as this value lives.
#[derive(Debug)]
pub struct StateFolder {
    root: PathBuf,
    /// The lock goes with the file.
    _lock: File,
}

impl StateFolder {
    /// Makes the folder where it is missing and locks it. Only its owner may read what is in it.
    ///
    /// # Errors
    /// [`StateError::InUse`] when another participant has it, [`StateError::Write`].
    pub fn open(root: &Path) -> Result<Self, StateError> {
        for folder in ["models", "updates", "final"] {
            files::create_folder(&root.join(folder))?;
        }
        let path = root.join("lock");
        let mut options = OpenOptions::new();
        let lock = files::private(options.write(true).create(true).truncate(false))
            .open(&path)
            .map_err(StateError::write(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: root.to_owned() }),
            Err(TryLockError::Error(source)) => Err(StateError::write(&path)(source)),
        }
    }

    /// Whether the model is there, complete.
    pub(crate) fn has_model(&self, digest: &Digest) -> bool {
        self.model_path(digest).is_file()
    }

    /// Starts or continues a download of `total` bytes.
    pub(crate) fn download(&self, digest: Digest, total: u64) -> Result<PartialModel, StateError> {
        PartialModel::open(&self.model_path(&digest), digest, total)
    }

    /// Reads a model and checks it. A file that is damaged is thrown away, so that it is downloaded again.
    pub(crate) fn read_model(
        &self,
        digest: &Digest,
        layout: &ModelLayout,
    ) -> Result<ModelParameters, StateError> {
        let path = self.model_path(digest);
        let bytes = fs::read(&path).map_err(StateError::read(&path))?;
        let (expected, found) = (*digest, Digest::of(&bytes));
        if found != expected {
            files::remove(&path)?;
            return Err(StateError::Digest { expected, found });
        }
        Ok(ModelParameters::from_le_bytes(layout.clone(), &bytes)?)
    }

    /// Removes every model but these, and the beginnings of others.
    pub(crate) fn retain_models(&self, digests: &BTreeSet<Digest>) -> Result<(), StateError> {
        let names: BTreeSet<String> = digests.iter().map(ToString::to_string).collect();
        for path in files::list(&self.root.join("models"))? {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if !stem.is_some_and(|stem| names.contains(stem)) {
                files::remove(&path)?;
            }
        }
        Ok(())
    }

    /// Keeps an update until [`StateFolder::discard_update`].
    pub(crate) fn store_update(
        &self,
        task: &TrainTask,
        update: &ClientUpdate,
    ) -> Result<StoredUpdate, StateError> {
        files::create_folder(&self.job_folder(&task.id.job))?;
        StoredUpdate::write(&self.update_path(&task.id), task, update)
    }

    /// The update that was kept for exactly this task. Updates for other tasks of its job are thrown away.
    pub(crate) fn find_update(&self, task: &TrainTask) -> Result<Option<StoredUpdate>, StateError> {
        let path = self.update_path(&task.id);
        for other in files::list(&self.job_folder(&task.id.job))? {
            if other != path {
                files::remove(&other)?;
            }
        }
        let found = StoredUpdate::find(&path, task)?;
        if found.is_none() {
            files::remove(&path)?;
        }
        Ok(found)
    }

    /// Throws the update for a task away: its round is over.
    pub(crate) fn discard_update(&self, task: &TaskId) -> Result<(), StateError> {
        files::remove(&self.update_path(task))
    }

    /// Throws all updates for a job away.
    pub(crate) fn discard_job(&self, job: &JobName) -> Result<(), StateError> {
        let folder = self.job_folder(job);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StateError::write(&folder)(error))
            }
            _ => Ok(()),
        }
    }

    /// Writes a job's newest model as `final/<job>.safetensors`.
    pub(crate) fn save_final(&self, job: &JobName, model: &ModelParameters) -> Result<PathBuf, StateError> {
        let path = self.root.join("final").join(format!("{job}.safetensors"));
        files::replace(&path, &[&to_safetensors(model)?])?;
        Ok(path)
    }

    fn model_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("models").join(digest.to_string())
    }

    fn job_folder(&self, job: &JobName) -> PathBuf {
        self.root.join("updates").join(job.as_str())
    }

    fn update_path(&self, task: &TaskId) -> PathBuf {
        self.job_folder(&task.job).join(format!("{}.{}", task.round, task.attempt))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use federated_core::{metrics::Metrics, model::from_safetensors, update::ExampleCount};

    use super::*;
    use crate::session::fixture;

    fn folder() -> (tempfile::TempDir, StateFolder) {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(&root.path().join("state")).unwrap();
        (root, folder)
    }

    fn update(values: [f32; 2]) -> ClientUpdate {
        ClientUpdate {
            delta: ModelParameters::new(fixture::task("heart", 1).layout, values.to_vec()).unwrap(),
            examples: ExampleCount::new(7).unwrap(),
            metrics: Metrics::new(),
        }
    }

    fn values_of(update: &StoredUpdate) -> Vec<u8> {
        let mut bytes = Vec::new();
        update.values_from(0).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_folder_belongs_to_one_participant_at_a_time() {
        let (root, first) = folder();
        let path = root.path().join("state");
        assert!(matches!(StateFolder::open(&path), Err(StateError::InUse { .. })));
        drop(first);
        assert!(StateFolder::open(&path).is_ok());
    }

    #[test]
    fn a_broken_download_goes_on_where_it_was() {
        let (_root, state) = folder();
        let task = fixture::task("heart", 1);
        let bytes = fixture::model_bytes();
        let mut first = state.download(task.model, 8).unwrap();
        first.append(&bytes[..5]).unwrap();
        drop(first);
        assert!(!state.has_model(&task.model));
        let mut second = state.download(task.model, 8).unwrap();
        assert_eq!(second.length(), 5);
        second.append(&bytes[5..]).unwrap();
        second.finish().unwrap();
        let model = state.read_model(&task.model, &task.layout).unwrap();
        assert_eq!(model.to_le_bytes(), bytes);
    }

    #[test]
    fn a_model_with_another_digest_is_thrown_away() {
        let (_root, state) = folder();
        let task = fixture::task("heart", 1);
        let mut partial = state.download(task.model, 8).unwrap();
        partial.append(&[1; 8]).unwrap();
        assert!(
            matches!(partial.finish(), Err(StateError::Digest { expected, .. }) if expected == task.model)
        );
        assert_eq!(state.download(task.model, 8).unwrap().length(), 0);

        // Longer than the model: the beginning of something else.
        let mut partial = state.download(task.model, 99).unwrap();
        partial.append(&[1; 9]).unwrap();
        drop(partial);
        assert_eq!(state.download(task.model, 8).unwrap().length(), 0);
    }

    #[test]
    fn models_that_no_task_needs_are_removed() {
        let (_root, state) = folder();
        let task = fixture::task("heart", 1);
        let mut partial = state.download(task.model, 8).unwrap();
        partial.append(&fixture::model_bytes()).unwrap();
        partial.finish().unwrap();
        state.retain_models(&[task.model].into()).unwrap();
        assert!(state.has_model(&task.model));
        state.retain_models(&BTreeSet::new()).unwrap();
        assert!(!state.has_model(&task.model));
    }

    #[test]
    fn after_a_restart_the_same_task_gets_the_same_bytes() {
        let (root, state) = folder();
        let task = fixture::task("heart", 1);
        let stored = state.store_update(&task, &update([1.0, 2.0])).unwrap();
        drop(state);
        let state = StateFolder::open(&root.path().join("state")).unwrap();
        let found = state.find_update(&task).unwrap().unwrap();
        assert_eq!(found.header(), stored.header());
        assert_eq!(values_of(&found), values_of(&stored));
        let mut rest = Vec::new();
        found.values_from(4).unwrap().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, 2.0_f32.to_le_bytes());
    }

    #[test]
    fn an_update_for_another_run_of_the_job_is_no_answer() {
        let (_root, state) = folder();
        let task = fixture::task("heart", 1);
        state.store_update(&task, &update([1.0, 2.0])).unwrap();
        let other = TrainTask { seed: task.seed + 1, ..task.clone() };
        assert!(state.find_update(&other).unwrap().is_none());
        assert!(state.find_update(&task).unwrap().is_none(), "it was thrown away");
    }

    #[test]
    fn a_damaged_update_is_no_answer() {
        let (root, state) = folder();
        let task = fixture::task("heart", 1);
        state.store_update(&task, &update([1.0, 2.0])).unwrap();
        let path = root.path().join("state/updates/heart/1.1");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(state.find_update(&task).unwrap().is_none());
        fs::write(&path, b"short").unwrap();
        assert!(state.find_update(&task).unwrap().is_none());
    }

    #[test]
    fn updates_go_with_their_round_and_their_job() {
        let (_root, state) = folder();
        let (first, second) = (fixture::task("heart", 1), fixture::task("heart", 2));
        state.store_update(&first, &update([1.0, 2.0])).unwrap();
        assert!(state.find_update(&second).unwrap().is_none());
        assert!(state.find_update(&first).unwrap().is_none(), "a later round began");
        state.store_update(&second, &update([1.0, 2.0])).unwrap();
        state.discard_job(&second.id.job).unwrap();
        assert!(state.find_update(&second).unwrap().is_none());
        state.discard_update(&second.id).unwrap();
    }

    #[test]
    fn a_final_model_is_a_safetensors_file() {
        let (_root, state) = folder();
        let model = update([1.0, 2.0]).delta;
        let path = state.save_final(&"heart".parse().unwrap(), &model).unwrap();
        assert_eq!(from_safetensors(&fs::read(path).unwrap()).unwrap(), model);
    }
}
