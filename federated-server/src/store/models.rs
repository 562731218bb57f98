use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::Arc,
};

use federated_core::ids::{Digest, DigestBuilder};
use federated_proto::{WireError, convert::ModelContent};

use super::{Store, StoreError, content, durable, positioned, writeback::Writeback};

impl Store {
    fn model_path(&self, digest: Digest) -> PathBuf {
        self.root().join("models").join(digest.to_string())
    }

    /// Opens a model's values for reading.
    ///
    /// # Errors
    /// [`StoreError::UnknownModel`] when there is none of this content.
    pub fn open_model(&self, digest: Digest) -> Result<StoredModel, StoreError> {
        let path = self.model_path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::UnknownModel { digest });
            }
            Err(error) => return Err(StoreError::io("open", path)(error)),
        };
        let bytes = file.metadata().map_err(StoreError::io("look at", &path))?.len();
        Ok(StoredModel { file, path, bytes })
    }

    /// Begins a new model, whose digest will be known when it is written.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file cannot be made.
    pub fn new_model(&self, job: &str) -> Result<ModelWriter, StoreError> {
        // Two writers never share a temporary file, even if two operators start the same job at once.
        let path = self.root().join("models").join(format!("{job}-{}.new", self.next_number()));
        let file = Arc::new(File::create(&path).map_err(StoreError::io("make", &path))?);
        Ok(ModelWriter {
            path: Unfinished { path, published: false },
            file,
            writeback: Writeback::default(),
            hasher: DigestBuilder::new(),
        })
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

    /// Removes a model that no job needs any more.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be removed.
    pub fn remove_model(&self, digest: Digest) -> Result<(), StoreError> {
        durable::remove(&self.model_path(digest))
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
            .map_err(StoreError::io("write", &self.path.path))
    }

    /// Makes the model durable under its digest.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn finish(self, store: &Store) -> Result<Digest, StoreError> {
        let digest = self.hasher.clone().finish();
        self.publish(store, digest)?;
        Ok(digest)
    }

    /// Makes a model that came from outside durable: it must be the one announced, and all of its values usable.
    ///
    /// # Errors
    /// [`StoreError::Content`] when it is not, which leaves nothing behind; [`StoreError::Io`].
    pub fn finish_as(self, store: &Store, announced: &ModelContent) -> Result<(), StoreError> {
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
