use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::PathBuf,
};

use federated_core::{
    ids::{Digest, JobName, ParticipantName, TaskId},
    model::ModelLayout,
};
use federated_proto::WireError;

use super::{Store, StoreError, content, durable};

impl Store {
    fn partial_path(&self, task: &TaskId, participant: &ParticipantName) -> PathBuf {
        self.task_folder(task).join(format!("{participant}.part"))
    }

    pub(super) fn update_path(&self, task: &TaskId, participant: &ParticipantName) -> PathBuf {
        self.task_folder(task).join(format!("{participant}.update"))
    }

    /// How many bytes of this participant's upload are here. Zero when the upload is of another content: a partial
    /// file begins with the digest of what it will hold.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file cannot be looked at.
    pub fn uploaded(
        &self,
        task: &TaskId,
        participant: &ParticipantName,
        content: Digest,
    ) -> Result<u64, StoreError> {
        let path = self.partial_path(task, participant);
        let mut found = [0; 32];
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(StoreError::io("open", path)(error)),
        };
        if file.read_exact(&mut found).is_err() || Digest::from(found) != content {
            return Ok(0);
        }
        let length = file.metadata().map_err(StoreError::io("look at", path))?.len();
        Ok(length.saturating_sub(32))
    }

    /// Goes on with an upload at `offset`, which is 0 or what [`Store::uploaded`] says.
    ///
    /// # Errors
    /// [`StoreError::Content`] for any other offset, [`StoreError::Io`] when the file cannot be written.
    pub fn resume_upload(
        &self,
        task: &TaskId,
        participant: &ParticipantName,
        content: Digest,
        offset: u64,
    ) -> Result<PartialUpdate, StoreError> {
        let durable = self.uploaded(task, participant, content)?;
        if offset != 0 && offset != durable {
            return Err(WireError::ChunkOffset { expected: durable, found: offset }.into());
        }
        durable::folder(&self.task_folder(task))?;
        let path = self.partial_path(task, participant);
        let mut file =
            if offset == 0 { File::create(&path) } else { OpenOptions::new().append(true).open(&path) }
                .map_err(StoreError::io("open", &path))?;
        if offset == 0 {
            file.write_all(content.as_bytes()).map_err(StoreError::io("write", &path))?;
        }
        Ok(PartialUpdate {
            target: self.update_path(task, participant),
            path,
            file,
            content,
            resumed: offset != 0,
        })
    }

    /// Removes all updates of an attempt, finished or not.
    ///
    /// # Errors
    /// [`StoreError::Io`] when they cannot be removed.
    pub fn remove_updates(&self, task: &TaskId) -> Result<(), StoreError> {
        durable::remove(&self.task_folder(task))
    }

    /// Removes all updates of a job.
    ///
    /// # Errors
    /// [`StoreError::Io`] when they cannot be removed.
    pub fn remove_job_updates(&self, job: &JobName) -> Result<(), StoreError> {
        durable::remove(&self.root().join("updates").join(job.as_str()))
    }
}

/// An upload under way. Its bytes stay when the connection breaks.
#[derive(Debug)]
pub struct PartialUpdate {
    path: PathBuf,
    target: PathBuf,
    file: File,
    content: Digest,
    /// Whether bytes of an earlier connection, perhaps of an earlier process, are in it.
    resumed: bool,
}

impl PartialUpdate {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`StoreError::Io`], for instance when the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write", &self.path))
    }

    /// Checks the whole update (length, digest, every value finite) and makes it durable.
    ///
    /// An update that fails is removed. If all of it came on one connection, sending the same bytes again would fail
    /// again.
    ///
    /// # Errors
    /// [`StoreError::Content`] when the content is not what was announced or cannot be used,
    /// [`StoreError::SpoolDamaged`] when that may be the disk's doing, [`StoreError::Io`].
    pub fn finish(self, layout: &ModelLayout) -> Result<(), StoreError> {
        if let Err(error) = self.check(layout) {
            if !matches!(error, StoreError::Content(_)) {
                return Err(error);
            }
            durable::remove(&self.path)?;
            // After a power failure the disk may have lost bytes that had come: then the participant is not to blame.
            let path = self.path;
            return Err(if self.resumed { StoreError::SpoolDamaged { path } } else { error });
        }
        self.file.sync_all().map_err(StoreError::io("sync", &self.path))?;
        durable::publish(&self.path, &self.target)
    }

    fn check(&self, layout: &ModelLayout) -> Result<(), StoreError> {
        let mut file = File::open(&self.path).map_err(StoreError::io("read", &self.path))?;
        file.read_exact(&mut [0; 32]).map_err(StoreError::io("read", &self.path))?;
        let (expected, found) = (self.content, content::check(file, layout, &self.path)?);
        if found == expected { Ok(()) } else { Err(WireError::DigestMismatch { expected, found }.into()) }
    }
}

impl Store {
    /// Opens a durable update's values for reading.
    pub(super) fn open_update(
        &self,
        task: &TaskId,
        participant: &ParticipantName,
        layout: &ModelLayout,
    ) -> Result<File, StoreError> {
        let path = self.update_path(task, participant);
        let mut file = File::open(&path).map_err(StoreError::io("open", &path))?;
        let length = fs::metadata(&path).map_err(StoreError::io("look at", &path))?.len();
        let expected = layout.bytes() + 32;
        if length != expected {
            let (expected, found) = (format!("{expected} bytes"), format!("{length}"));
            return Err(StoreError::Damaged { path, expected, found });
        }
        file.read_exact(&mut [0; 32]).map_err(StoreError::io("read", &path))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use federated_core::{
        fault::Fault,
        ids::RoundNumber,
        model::{TensorSpec, values_to_le_bytes},
    };

    use super::*;

    struct Bench {
        _folder: tempfile::TempDir,
        store: Store,
        task: TaskId,
        site: ParticipantName,
        layout: ModelLayout,
    }

    fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        Bench {
            store: Store::open(folder.path()).unwrap(),
            _folder: folder,
            task: TaskId { job: "job".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 },
            site: "site".parse().unwrap(),
            layout: ModelLayout::new(vec![TensorSpec::new("w", [3])]).unwrap(),
        }
    }

    #[test]
    fn an_upload_goes_on_where_it_broke_off() {
        let Bench { store, task, site, layout, _folder } = bench();
        let bytes = values_to_le_bytes(&[1.0, 2.0, 3.0]);
        let content = Digest::of(&bytes);
        store.resume_upload(&task, &site, content, 0).unwrap().write(&bytes[..5]).unwrap();
        assert_eq!(store.uploaded(&task, &site, content).unwrap(), 5);
        assert_eq!(store.uploaded(&task, &site, Digest::of(b"other")).unwrap(), 0);
        assert!(store.resume_upload(&task, &site, content, 3).is_err());
        let mut partial = store.resume_upload(&task, &site, content, 5).unwrap();
        partial.write(&bytes[5..]).unwrap();
        partial.finish(&layout).unwrap();
        let mut read = Vec::new();
        store.open_update(&task, &site, &layout).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        store.remove_updates(&task).unwrap();
        assert!(store.open_update(&task, &site, &layout).is_err());
    }

    #[test]
    fn what_a_disk_lost_between_two_connections_is_not_the_participants_fault() {
        let Bench { store, task, site, layout, _folder } = bench();
        let bytes = values_to_le_bytes(&[1.0, 2.0, 3.0]);
        let content = Digest::of(&bytes);
        store.resume_upload(&task, &site, content, 0).unwrap().write(&[0; 5]).unwrap();
        let mut partial = store.resume_upload(&task, &site, content, 5).unwrap();
        partial.write(&bytes[5..]).unwrap();
        let error = partial.finish(&layout).unwrap_err();
        assert!(matches!(error, StoreError::SpoolDamaged { .. }) && error.fault() == Fault::Environment);
        assert_eq!(store.uploaded(&task, &site, content).unwrap(), 0, "it begins anew");
    }

    #[test]
    fn content_that_is_wrong_or_not_finite_does_not_stay() {
        let Bench { store, task, site, layout, _folder } = bench();
        let bytes = values_to_le_bytes(&[1.0, f32::NAN, 3.0]);
        for announced in [Digest::of(&bytes), Digest::of(b"something else")] {
            let mut partial = store.resume_upload(&task, &site, announced, 0).unwrap();
            partial.write(&bytes).unwrap();
            assert!(matches!(partial.finish(&layout), Err(StoreError::Content(_))));
            assert_eq!(store.uploaded(&task, &site, announced).unwrap(), 0);
        }
    }
}
