use std::io;

use federated_core::{
    ids::{Digest, JobName, ParticipantName, TaskId},
    model::ModelLayout,
};
use federated_proto::WireError;

use super::{
    Store, StoreError,
    content::{ContentCheck, UpdateForm, WrongContent},
    spool::{SpoolWriter, SpooledUpdate, UploadKey},
};

/// How many bytes of an earlier connection are read back at a time.
const BLOCK: u64 = 1 << 20;

impl Store {
    /// How many bytes of this participant's upload are here. Zero when the upload is of another content.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the spool cannot be looked at.
    pub fn uploaded(
        &self,
        task: &TaskId,
        participant: &ParticipantName,
        content: Digest,
    ) -> Result<u64, StoreError> {
        self.spool().durable(UploadKey { task, participant, content })
    }

    /// Goes on with an upload at `offset`, which is 0 or what [`Store::uploaded`] says.
    ///
    /// What came before is read back to be checked with the rest: that takes a second for each gigabyte or so.
    ///
    /// # Errors
    /// [`StoreError::Content`] for any other offset, [`StoreError::Io`] when the spool cannot be read or written.
    pub fn resume_upload(
        &self,
        task: &TaskId,
        participant: &ParticipantName,
        content: Digest,
        form: UpdateForm,
        offset: u64,
    ) -> Result<PartialUpdate, StoreError> {
        let writer = self.spool().resume(UploadKey { task, participant, content }, offset)?;
        let check = read_back(writer.as_ref(), form, offset)?;
        Ok(PartialUpdate { writer: Some(writer), check, content, resumed: offset != 0 })
    }

    /// Opens a durable update, of so many bytes, for reading.
    pub(super) fn open_update(
        &self,
        task: &TaskId,
        participant: &ParticipantName,
        content: Digest,
        bytes: u64,
    ) -> Result<Box<dyn SpooledUpdate>, StoreError> {
        let update = self.spool().open(UploadKey { task, participant, content })?;
        if update.bytes() != bytes {
            let path = format!("{task}/{participant}").into();
            let (expected, found) = (format!("{bytes} bytes"), update.bytes().to_string());
            return Err(StoreError::Damaged { path, expected, found });
        }
        Ok(update)
    }

    /// Removes all updates of an attempt, finished or not.
    ///
    /// # Errors
    /// [`StoreError::Io`] when they cannot be removed.
    pub fn remove_updates(&self, task: &TaskId) -> Result<(), StoreError> {
        self.spool().remove_attempt(task)
    }

    /// Removes all updates of a job.
    ///
    /// # Errors
    /// [`StoreError::Io`] when they cannot be removed.
    pub fn remove_job_updates(&self, job: &JobName) -> Result<(), StoreError> {
        self.spool().remove_job(job)
    }
}

/// Checks what came on an earlier connection, up to `end`.
fn read_back(writer: &dyn SpoolWriter, form: UpdateForm, end: u64) -> Result<ContentCheck, StoreError> {
    let mut check = ContentCheck::new(form);
    let mut block = vec![0; usize::try_from(BLOCK.min(end)).unwrap_or_default()];
    let mut offset = 0;
    while offset < end {
        let length = usize::try_from(end - offset).unwrap_or(usize::MAX).min(block.len());
        let bytes = block.get_mut(..length).unwrap_or_default();
        writer.read_back(bytes, offset)?;
        check.update(bytes);
        offset += length as u64;
    }
    Ok(check)
}

/// An upload under way. Its bytes stay when the connection breaks.
#[derive(Debug)]
pub struct PartialUpdate {
    /// None after a write that failed: what was written is not what was checked then.
    writer: Option<Box<dyn SpoolWriter>>,
    check: ContentCheck,
    content: Digest,
    /// Whether bytes of an earlier connection, perhaps of an earlier process, are in it.
    resumed: bool,
}

impl PartialUpdate {
    /// Appends bytes and checks them.
    ///
    /// # Errors
    /// [`StoreError::Io`], for instance when the disk is full. The upload can be resumed then, but not from this value.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut writer = self.writer.take().ok_or_else(broken)?;
        writer.write(bytes)?;
        self.writer = Some(writer);
        self.check.update(bytes);
        Ok(())
    }

    /// Judges the whole update (length, digest, every value usable) and makes it durable.
    ///
    /// An update that fails is removed. If all of it came on one connection, or it is what its digest says, sending the
    /// same bytes again would fail again.
    ///
    /// # Errors
    /// [`StoreError::Content`] when the content is not what was announced or cannot be used,
    /// [`StoreError::SpoolDamaged`] when that may be the disk's doing, [`StoreError::Io`].
    pub fn finish(self, layout: &ModelLayout) -> Result<(), StoreError> {
        let writer = self.writer.ok_or_else(broken)?;
        let Err(WrongContent { error, as_announced }) = self.check.finish(self.content, layout) else {
            return writer.finish();
        };
        if matches!(error, WireError::Truncated { .. }) {
            return Err(error.into());
        }
        let path = writer.location();
        writer.discard()?;
        // After a power failure the disk may have lost bytes that had come: then the participant is not to blame.
        let damaged = self.resumed && !as_announced;
        Err(if damaged { StoreError::SpoolDamaged { path } } else { error.into() })
    }
}

fn broken() -> StoreError {
    let source = io::Error::other("an earlier write failed; resume the upload");
    StoreError::Io { action: "go on with", path: "an upload".into(), source }
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
        store
            .resume_upload(&task, &site, content, UpdateForm::plain(&layout), 0)
            .unwrap()
            .write(&bytes[..5])
            .unwrap();
        assert_eq!(store.uploaded(&task, &site, content).unwrap(), 5);
        assert_eq!(store.uploaded(&task, &site, Digest::of(b"other")).unwrap(), 0);
        assert!(store.resume_upload(&task, &site, content, UpdateForm::plain(&layout), 3).is_err());
        let mut partial = store.resume_upload(&task, &site, content, UpdateForm::plain(&layout), 5).unwrap();
        partial.write(&bytes[5..]).unwrap();
        partial.finish(&layout).unwrap();
        let mut read = vec![0; bytes.len()];
        store
            .open_update(&task, &site, content, layout.bytes())
            .unwrap()
            .read_exact_at(&mut read, 0)
            .unwrap();
        assert_eq!(read, bytes);
        store.remove_updates(&task).unwrap();
        assert!(store.open_update(&task, &site, content, layout.bytes()).is_err());
    }

    #[test]
    fn what_a_disk_lost_between_two_connections_is_not_the_participants_fault() {
        let Bench { store, task, site, layout, _folder } = bench();
        let bytes = values_to_le_bytes(&[1.0, 2.0, 3.0]);
        let content = Digest::of(&bytes);
        store
            .resume_upload(&task, &site, content, UpdateForm::plain(&layout), 0)
            .unwrap()
            .write(&[0; 5])
            .unwrap();
        let mut partial = store.resume_upload(&task, &site, content, UpdateForm::plain(&layout), 5).unwrap();
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
            let mut partial =
                store.resume_upload(&task, &site, announced, UpdateForm::plain(&layout), 0).unwrap();
            partial.write(&bytes).unwrap();
            assert!(matches!(partial.finish(&layout), Err(StoreError::Content(_))));
            assert_eq!(store.uploaded(&task, &site, announced).unwrap(), 0);
        }
    }

    #[test]
    fn an_update_that_is_durable_but_was_not_confirmed_is_not_asked_for_again() {
        let Bench { store, task, site, layout, _folder } = bench();
        let bytes = values_to_le_bytes(&[1.0, 2.0, 3.0]);
        let content = Digest::of(&bytes);
        let mut partial = store.resume_upload(&task, &site, content, UpdateForm::plain(&layout), 0).unwrap();
        partial.write(&bytes).unwrap();
        partial.finish(&layout).unwrap();
        assert_eq!(store.uploaded(&task, &site, content).unwrap(), layout.bytes());
        store
            .resume_upload(&task, &site, content, UpdateForm::plain(&layout), layout.bytes())
            .unwrap()
            .finish(&layout)
            .unwrap();
        assert!(store.open_update(&task, &site, content, layout.bytes()).is_ok());
    }

    #[test]
    fn unusable_values_that_were_announced_are_the_participants_fault_however_they_came() {
        let Bench { store, task, site, layout, _folder } = bench();
        let bytes = values_to_le_bytes(&[f32::NAN, 2.0, 3.0]);
        let content = Digest::of(&bytes);
        store
            .resume_upload(&task, &site, content, UpdateForm::plain(&layout), 0)
            .unwrap()
            .write(&bytes[..5])
            .unwrap();
        let mut partial = store.resume_upload(&task, &site, content, UpdateForm::plain(&layout), 5).unwrap();
        partial.write(&bytes[5..]).unwrap();
        assert!(matches!(partial.finish(&layout), Err(StoreError::Content(WireError::Model(_)))));
        assert_eq!(store.uploaded(&task, &site, content).unwrap(), 0);
    }

    #[test]
    fn an_update_that_is_too_short_stays_and_goes_on() {
        let Bench { store, task, site, layout, _folder } = bench();
        let bytes = values_to_le_bytes(&[1.0, 2.0, 3.0]);
        let content = Digest::of(&bytes);
        let mut partial = store.resume_upload(&task, &site, content, UpdateForm::plain(&layout), 0).unwrap();
        partial.write(&bytes[..7]).unwrap();
        assert!(matches!(partial.finish(&layout), Err(StoreError::Content(WireError::Truncated { .. }))));
        assert_eq!(store.uploaded(&task, &site, content).unwrap(), 7);
    }
}
