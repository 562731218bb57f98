use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions, TryLockError},
    num::NonZero,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use federated_core::{
    ids::{Digest, JobName, TaskId},
    model::{ModelLayout, ModelParameters, to_safetensors},
    round::UpdateKind,
    task::TrainTask,
    update::ClientUpdate,
};

use super::{
    MaskedUpdate, Masking, PartialModel, StateError, StoredUpdate,
    download::{COUNT_BYTES, SPARE, WORTH_WRITING},
    encode, files,
    residual::Residuals,
    sessions::{self, Progress, SessionNote},
    update::{Content, Report},
};

/// What needs no reading back: it was made or fetched by this process.
#[derive(Default)]
struct Recent {
    /// Models that were fetched and are not in use yet.
    models: BTreeMap<Digest, ModelParameters>,
    /// A download that broke off.
    partial: Option<PartialModel>,
    /// The update that was made last.
    update: Option<StoredUpdate>,
    /// Masked updates: there is nothing in their files to find them again by.
    masked: BTreeMap<JobName, StoredUpdate>,
    /// The memory of the last update, for the next model: fresh memory costs as much as filling it.
    spare: Vec<f32>,
}

impl Recent {
    /// Forgets the update if it is one of these.
    fn forget_update(&mut self, forget: impl Fn(&TaskId) -> bool) {
        self.masked.retain(|_, update| !forget(&update.header().task));
        let update = self.update.take_if(|update| forget(&update.header().task));
        self.spare =
            update.and_then(StoredUpdate::into_memory).unwrap_or_else(|| std::mem::take(&mut self.spare));
    }
}

impl std::fmt::Debug for Recent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recent").field("models", &self.models.keys()).finish_non_exhaustive()
    }
}

/// A participant's folder, locked for as long as this value lives.
#[derive(Debug)]
pub struct StateFolder {
    root: PathBuf,
    recent: Mutex<Recent>,
    /// After how long a download of a large model is written.
    worth_writing: Duration,
    /// The lock goes with the file.
    _lock: File,
}

impl StateFolder {
    /// Makes the folder where it is missing and locks it. Only its owner may read what is in it.
    ///
    /// # Errors
    /// [`StateError::InUse`] when another participant has it, [`StateError::Write`].
    pub fn open(root: &Path) -> Result<Self, StateError> {
        for folder in ["models", "updates", "sessions", "final"] {
            files::create_folder(&root.join(folder))?;
        }
        let path = root.join("lock");
        let mut options = OpenOptions::new();
        let lock = files::private(options.write(true).create(true).truncate(false))
            .open(&path)
            .map_err(StateError::write(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                root: root.to_owned(),
                recent: Mutex::default(),
                worth_writing: WORTH_WRITING,
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: root.to_owned() }),
            Err(TryLockError::Error(source)) => Err(StateError::write(&path)(source)),
        }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts or continues a download; `None` when the model is here already, complete.
    pub(crate) fn download(
        &self,
        digest: Digest,
        layout: &ModelLayout,
    ) -> Result<Option<PartialModel>, StateError> {
        let path = self.model_path(&digest);
        let mut recent = self.recent();
        if recent.models.contains_key(&digest) || path.is_file() {
            return Ok(None);
        }
        match recent.partial.take() {
            Some(partial) if partial.digest() == digest => Ok(Some(partial)),
            _ => {
                let memory = std::mem::take(&mut recent.spare);
                drop(recent);
                PartialModel::open(&path, digest, layout, memory, self.worth_writing).map(Some)
            }
        }
    }

    /// Keeps what came of a download that broke off.
    pub(super) fn shelve(&self, partial: PartialModel) {
        self.recent().partial = Some(partial);
    }

    /// Keeps a model that was fetched until it is read.
    pub(super) fn hand_over(&self, digest: Digest, model: ModelParameters) {
        self.recent().models.insert(digest, model);
    }

    /// Gives a model that was fetched. Another reader fetches it again, unless it took so long that it is in a file. A
    /// file that is damaged is thrown away, so that the model is downloaded again.
    pub(crate) fn read_model(
        &self,
        digest: &Digest,
        layout: &ModelLayout,
    ) -> Result<ModelParameters, StateError> {
        if let Some(model) = self.recent().models.remove(digest) {
            return Ok(model);
        }
        let path = self.model_path(digest);
        let bytes = fs::read(&path).map_err(StateError::read(&path))?;
        let bytes = bytes.get(COUNT_BYTES..).unwrap_or_default();
        let (expected, found) = (*digest, Digest::of(bytes));
        if found != expected {
            files::remove(&path)?;
            return Err(StateError::Digest { expected, found });
        }
        Ok(ModelParameters::from_le_bytes(layout.clone(), bytes)?)
    }

    /// Removes every model but these, and the beginnings of others. The file of a complete one is left for the next.
    pub(crate) fn retain_models(&self, digests: &BTreeSet<Digest>) -> Result<(), StateError> {
        self.recent().models.retain(|digest, _| digests.contains(digest));
        let names: BTreeSet<String> = digests.iter().map(ToString::to_string).collect();
        for path in files::list(&self.root.join("models"))? {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if stem.is_some_and(|stem| stem == SPARE || names.contains(stem)) {
                continue;
            }
            if path.extension().is_some() {
                files::remove(&path)?;
            } else {
                fs::rename(&path, self.spare_model()).map_err(StateError::write(&path))?;
            }
        }
        Ok(())
    }

    fn spare_model(&self) -> PathBuf {
        self.root.join("models").join(SPARE)
    }

    /// Notes durably that a session of secure aggregation begins for this task, the only one there will be.
    pub(crate) fn begin_session(&self, task: &TaskId) -> Result<(), StateError> {
        sessions::begin(&self.root, task)
    }

    /// Notes durably how far this task's session came.
    pub(crate) fn note_session(&self, task: &TaskId, progress: &Progress) -> Result<(), StateError> {
        sessions::note(&self.root, task, progress)
    }

    /// What is noted of the last session of a job, if it had one.
    pub(crate) fn session_note(&self, job: &JobName) -> Result<Option<SessionNote>, StateError> {
        sessions::last(&self.root, job)
    }

    /// Adds a line durably to `results.jsonl`.
    pub(crate) fn append_result(&self, line: &str) -> Result<(), StateError> {
        files::append_line(&self.root.join("results.jsonl"), line)
    }

    /// Keeps an update until [`StateFolder::discard_update`].
    pub(crate) fn store_update(&self, task: &TrainTask, update: ClientUpdate) -> Result<(), StateError> {
        let ClientUpdate { delta, examples, metrics } = update;
        let kind = UpdateKind::Open { encoding: task.encoding, examples, metrics };
        let report = Report { layout: delta.layout().clone(), kind };
        let content = self.content(task, delta.into_values())?;
        files::create_folder(&self.job_folder(&task.id.job))?;
        let stored = StoredUpdate::write(&self.update_path(&task.id), task, report, content)?;
        self.recent().update = Some(stored);
        Ok(())
    }

    /// Keeps an update, masked, until [`StateFolder::discard_update`] or another update of its task. It works on all cores.
    ///
    /// Gives how many of its values were beyond what the vector holds, and were clipped.
    pub(crate) fn store_masked(
        &self,
        task: &TrainTask,
        update: ClientUpdate,
        masking: Masking<'_>,
    ) -> Result<u64, StateError> {
        files::create_folder(&self.job_folder(&task.id.job))?;
        let cores = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        let masked = MaskedUpdate::write(&self.update_path(&task.id), &update, masking, cores)?;
        let stored = StoredUpdate::masked(task, update.delta.layout().clone(), &masked);
        let mut recent = self.recent();
        recent.spare = update.delta.into_values();
        recent.masked.insert(task.id.job.clone(), stored);
        Ok(masked.clipped())
    }

    /// What will travel of an update.
    fn content(&self, task: &TrainTask, values: Vec<f32>) -> Result<Content, StateError> {
        if task.encoding.is_plain() {
            return Ok(Content::Plain(Arc::new(values)));
        }
        let (bytes, memory) = encode::encoded(task, values, &self.residuals(&task.id.job))?;
        if memory.capacity() > 0 {
            self.recent().spare = memory;
        }
        Ok(Content::Encoded(bytes))
    }

    /// The update for exactly this task, if this process made it last.
    pub(crate) fn recent_update(&self, task: &TrainTask) -> Option<StoredUpdate> {
        let recent = self.recent();
        let mut updates = recent.update.iter().chain(recent.masked.get(&task.id.job));
        updates.find(|update| update.answers(task)).cloned()
    }

    /// The update that was kept for exactly this task. Updates for other tasks of its job are thrown away.
    pub(crate) fn find_update(&self, task: &TrainTask) -> Result<Option<StoredUpdate>, StateError> {
        let path = self.update_path(&task.id);
        for other in files::list(&self.job_folder(&task.id.job))? {
            if other != path {
                files::recycle(&other, &path)?;
            }
        }
        if let Some(update) = self.recent_update(task) {
            return Ok(Some(update));
        }
        self.recent().forget_update(|update| update.job == task.id.job);
        let found = StoredUpdate::find(&path, task)?;
        if found.is_none() {
            files::remove(&path)?;
        }
        Ok(found)
    }

    /// The coordinator has the update for a task: what it left out counts from here on.
    pub(crate) fn confirm_update(&self, task: &TaskId) -> Result<(), StateError> {
        self.residuals(&task.job).confirm(task)
    }

    /// Throws the update for a task away: its round is over. Without a receipt, what it left out goes too.
    pub(crate) fn discard_update(&self, task: &TaskId) -> Result<(), StateError> {
        self.recent().forget_update(|update| update == task);
        // The next update is written over it.
        files::recycle(&self.update_path(task), &self.job_folder(&task.job).join("spare"))?;
        self.residuals(&task.job).discard(task)
    }

    /// Throws all updates for a job away, and what they left out.
    pub(crate) fn discard_job(&self, job: &JobName) -> Result<(), StateError> {
        self.recent().forget_update(|update| update.job == *job);
        files::remove(&self.spare_model())?;
        files::remove_folder(&self.job_folder(job))?;
        files::remove_folder(&self.residual_folder(job))
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

    fn residual_folder(&self, job: &JobName) -> PathBuf {
        self.root.join("residual").join(job.as_str())
    }

    fn residuals(&self, job: &JobName) -> Residuals {
        Residuals::in_folder(self.residual_folder(job))
    }

    fn update_path(&self, task: &TaskId) -> PathBuf {
        self.job_folder(&task.job).join(format!("{}.{}", task.round, task.attempt))
    }
}

#[cfg(test)]
mod tests;
