use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use federated_core::ids::{Digest, DigestBuilder};
use federated_proto::{WireError, convert::ModelContent};

use super::{Store, StoreError, content, durable, positioned, writeback::Writeback};

/// What a model's file is until the model is finished, and after it is no longer needed.
pub(super) const UNFINISHED: &str = "new";

/// Which models are being read, and a file that a new one may be written over.
#[derive(Debug, Default)]
pub(super) struct ModelFiles(Mutex<Files>);

#[derive(Debug, Default)]
struct Files {
    open: BTreeMap<Digest, Weak<StoredModel>>,
    /// Writing over a file is much faster than making a new one and removing the old.
    spare: Option<PathBuf>,
}

impl ModelFiles {
    fn lock(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn model_path(&self, digest: Digest) -> PathBuf {
        self.root().join("models").join(digest.to_string())
    }

    /// A model that somebody reads already: this does not block.
    pub(crate) fn model_in_use(&self, digest: Digest) -> Option<Arc<StoredModel>> {
        self.model_files().lock().open.get(&digest).and_then(Weak::upgrade)
    }

    /// Opens a model's values for reading. All who read it at the same time share one file.
    ///
    /// # Errors
    /// [`StoreError::UnknownModel`] when there is none of this content.
    pub fn open_model(&self, digest: Digest) -> Result<Arc<StoredModel>, StoreError> {
        let mut files = self.model_files().lock();
        if let Some(model) = files.open.get(&digest).and_then(Weak::upgrade) {
            return Ok(model);
        }
        let path = self.model_path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::UnknownModel { digest });
            }
            Err(error) => return Err(StoreError::io("open", path)(error)),
        };
        let bytes = file.metadata().map_err(StoreError::io("look at", &path))?.len();
        let model = Arc::new(StoredModel { file, path, bytes });
        files.open.retain(|_, model| model.strong_count() > 0);
        files.open.insert(digest, Arc::downgrade(&model));
        Ok(model)
    }

    /// Begins a new model, whose digest will be known when it is written.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file cannot be made.
    pub fn new_model(&self, job: &str) -> Result<ModelWriter, StoreError> {
        // Two writers never share a temporary file, even if two operators start the same job at once.
        let path = self.unfinished_path(job);
        if let Some(spare) = self.model_files().lock().spare.take()
            && let Err(error) = fs::rename(spare, &path)
        {
            tracing::warn!(%error, "an old model's file cannot be written over; a new one is made");
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = Arc::new(file.map_err(StoreError::io("make", &path))?);
        Ok(ModelWriter {
            path: Unfinished { path, published: false },
            file,
            length: 0,
            writeback: Writeback::default(),
            hasher: DigestBuilder::new(),
        })
    }

    fn unfinished_path(&self, name: &str) -> PathBuf {
        self.root().join("models").join(format!("{name}-{}.{UNFINISHED}", self.next_number()))
    }

    /// Removes every model but these, for instance one whose job was refused. Nobody may be writing a model meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Io`] when one cannot be removed.
    pub(crate) fn retain_models(&self, needed: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let folder = self.root().join("models");
        for entry in fs::read_dir(&folder).map_err(StoreError::io("list", &folder))? {
            let path = entry.map_err(StoreError::io("list", &folder))?.path();
            let digest = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            if digest.is_some_and(|digest: Digest| !needed.contains(&digest)) {
                durable::remove(&path)?;
            }
        }
        Ok(())
    }

    /// Removes a model that no job needs any more. Whoever reads it can read it to its end; if nobody does, the next
    /// new model is written over its file.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be removed.
    pub fn remove_model(&self, digest: Digest) -> Result<(), StoreError> {
        let mut files = self.model_files().lock();
        let path = self.model_path(digest);
        let is_read = files.open.get(&digest).is_some_and(|model| model.strong_count() > 0);
        if is_read || files.spare.is_some() {
            return durable::remove(&path);
        }
        let spare = self.unfinished_path("spare");
        match fs::rename(&path, &spare) {
            Ok(()) => files.spare = Some(spare),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("rename to", spare)(error)),
        }
        Ok(())
    }
}

/// A model's values, immutable: any number of threads read them at once.
#[derive(Debug)]
pub struct StoredModel {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl StoredModel {
    /// How many bytes there are.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads the bytes at `offset`.
    ///
    /// # Errors
    /// [`StoreError::Io`] when they are not there or cannot be read.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        positioned::read_exact_at(&self.file, buffer, offset).map_err(StoreError::io("read", &self.path))
    }
}

/// A file that is removed with its writer, unless it became a model.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
    published: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = durable::remove(&self.path)
        {
            tracing::warn!(%error, "an unfinished model stays until the next start");
        }
    }
}

/// A model being written. Dropped without [`ModelWriter::finish`] it leaves nothing behind.
#[derive(Debug)]
pub struct ModelWriter {
    path: Unfinished,
    file: Arc<File>,
    length: u64,
    writeback: Writeback,
    hasher: DigestBuilder,
}

impl ModelWriter {
    /// Appends the next bytes of the values.
    ///
    /// # Errors
    /// [`StoreError::Io`], for instance when the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(bytes);
        (&*self.file)
            .write_all(bytes)
            .and_then(|()| self.writeback.wrote(&self.file, bytes.len()))
            .map_err(StoreError::io("write", &self.path.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Cuts off what is left of an earlier, longer model.
    fn cut(&self) -> Result<(), StoreError> {
        self.file.set_len(self.length).map_err(StoreError::io("cut", &self.path.path))
    }

    /// Makes the model durable under its digest.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn finish(self, store: &Store) -> Result<Digest, StoreError> {
        self.cut()?;
        let digest = self.hasher.clone().finish();
        self.publish(store, digest)?;
        Ok(digest)
    }

    /// Makes a model that came from outside durable: it must be the one announced, and all of its values usable.
    ///
    /// # Errors
    /// [`StoreError::Content`] when it is not, which leaves nothing behind; [`StoreError::Io`].
    pub fn finish_as(self, store: &Store, announced: &ModelContent) -> Result<(), StoreError> {
        self.cut()?;
        let file = File::open(&self.path.path).map_err(StoreError::io("read", &self.path.path))?;
        let expected = announced.digest;
        let checked = match content::check(file, &announced.layout, &self.path.path) {
            Ok(found) if found != expected => Err(WireError::DigestMismatch { expected, found }.into()),
            checked => checked,
        };
        self.publish(store, checked?)
    }

    fn publish(mut self, store: &Store, digest: Digest) -> Result<(), StoreError> {
        self.writeback.finish(&self.file).map_err(StoreError::io("sync", &self.path.path))?;
        durable::publish(&self.path.path, &store.model_path(digest))?;
        self.path.published = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use federated_core::model::{ModelLayout, TensorSpec, values_to_le_bytes};

    use super::*;

    #[test]
    fn a_model_is_found_by_its_content_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut writer = store.new_model("job").unwrap();
        writer.write(b"ab").unwrap();
        writer.write(b"cd").unwrap();
        let digest = writer.finish(&store).unwrap();
        assert_eq!(digest, Digest::of(b"abcd"));
        assert_eq!(store.open_model(digest).unwrap().bytes(), 4);
        assert!(matches!(store.open_model(Digest::of(b"other")), Err(StoreError::UnknownModel { .. })));
        drop(store.new_model("job").unwrap());
        let files = || fs::read_dir(folder.path().join("models")).unwrap().count();
        assert_eq!(files(), 1, "an unfinished model leaves no file");
        store.retain_models(&BTreeSet::from([digest])).unwrap();
        assert_eq!(files(), 1);
        store.retain_models(&BTreeSet::new()).unwrap();
        assert_eq!(files(), 0, "a model that no job needs is removed");
    }

    #[test]
    fn a_new_model_is_written_over_an_old_one_that_nobody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let write = |content: &[u8]| {
            let mut writer = store.new_model("job").unwrap();
            writer.write(content).unwrap();
            writer.finish(&store).unwrap()
        };
        let read = |model: &StoredModel| {
            let mut bytes = vec![0; usize::try_from(model.bytes()).unwrap()];
            model.read_exact_at(&mut bytes, 0).unwrap();
            bytes
        };
        let (first, second) = (write(b"the first, which is longer"), write(b"the second"));
        store.remove_model(first).unwrap();
        assert!(matches!(store.open_model(first), Err(StoreError::UnknownModel { .. })));
        let third = store.open_model(write(b"the third")).unwrap();
        assert_eq!(read(&third), b"the third");
        assert_eq!(fs::read_dir(folder.path().join("models")).unwrap().count(), 2);
        // One that is being read stays as it is for its readers.
        let reader = store.open_model(second).unwrap();
        store.remove_model(second).unwrap();
        write(b"the fourth");
        assert_eq!(read(&reader), b"the second");
        drop(store);
        Store::open(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("models")).unwrap().count(), 2, "no spare file is left");
    }

    #[test]
    fn a_model_from_outside_must_be_the_one_announced_and_usable() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let layout = ModelLayout::new(vec![TensorSpec::new("w", [2])]).unwrap();
        let finish = |values: &[f32], digest| {
            let mut writer = store.new_model("job").unwrap();
            writer.write(&values_to_le_bytes(values)).unwrap();
            writer.finish_as(&store, &ModelContent { layout: layout.clone(), digest })
        };
        let digest = |values: &[f32]| Digest::of(&values_to_le_bytes(values));
        let good = [1.0, 2.0];
        assert!(matches!(finish(&good, Digest::of(b"other")), Err(StoreError::Content(_))));
        let poisoned = [1.0, f32::NAN];
        assert!(matches!(finish(&poisoned, digest(&poisoned)), Err(StoreError::Content(_))));
        assert_eq!(std::fs::read_dir(folder.path().join("models")).unwrap().count(), 0);
        finish(&good, digest(&good)).unwrap();
        assert_eq!(store.open_model(digest(&good)).unwrap().bytes(), 8);
    }
}
