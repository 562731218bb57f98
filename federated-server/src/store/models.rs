use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use federated_core::ids::{Digest, DigestBuilder};
use federated_proto::WireError;

use super::{Store, StoreError, durable};

impl Store {
    fn model_path(&self, digest: Digest) -> PathBuf {
        self.root().join("models").join(digest.to_string())
    }

    /// Opens a model's values for reading, and says how many bytes they are.
    ///
    /// # Errors
    /// [`StoreError::UnknownModel`] when there is none of this content.
    pub fn open_model(&self, digest: Digest) -> Result<(File, u64), StoreError> {
        let path = self.model_path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::UnknownModel { digest });
            }
            Err(error) => return Err(StoreError::io("open", path)(error)),
        };
        let length = file.metadata().map_err(StoreError::io("look at", path))?.len();
        Ok((file, length))
    }

    /// Begins a new model, whose digest will be known when it is written.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the file cannot be made.
    pub fn new_model(&self, job: &str) -> Result<ModelWriter, StoreError> {
        // Two writers never share a temporary file, even if two operators start the same job at once.
        let path = self.root().join("models").join(format!("{job}-{}.new", self.next_number()));
        let file = File::create(&path).map_err(StoreError::io("make", &path))?;
        Ok(ModelWriter { path, file: BufWriter::with_capacity(1 << 20, file), hasher: DigestBuilder::new() })
    }

    /// Removes a model that no job needs any more.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be removed.
    pub fn remove_model(&self, digest: Digest) -> Result<(), StoreError> {
        durable::remove(&self.model_path(digest))
    }
}

/// A model being written. Dropped without [`ModelWriter::finish`] it leaves no model behind.
#[derive(Debug)]
pub struct ModelWriter {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: DigestBuilder,
}

impl ModelWriter {
    /// Appends the next bytes of the values.
    ///
    /// # Errors
    /// [`StoreError::Io`], for instance when the disk is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(StoreError::io("write", &self.path))
    }

    /// Makes the model durable under its digest; `expected` is the digest it must have, if that is known.
    ///
    /// # Errors
    /// [`StoreError::Io`], or [`StoreError::Content`] when the digest is another.
    pub fn finish(mut self, store: &Store, expected: Option<Digest>) -> Result<Digest, StoreError> {
        let found = self.hasher.finish();
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            durable::remove(&self.path)?;
            return Err(WireError::DigestMismatch { expected, found }.into());
        }
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(StoreError::io("sync", &self.path))?;
        durable::publish(&self.path, &store.model_path(found))?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_by_its_content_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut writer = store.new_model("job").unwrap();
        writer.write(b"ab").unwrap();
        writer.write(b"cd").unwrap();
        let digest = writer.finish(&store, None).unwrap();
        assert_eq!(digest, Digest::of(b"abcd"));
        assert_eq!(store.open_model(digest).unwrap().1, 4);
        let mut writer = store.new_model("job").unwrap();
        writer.write(b"other").unwrap();
        assert!(matches!(writer.finish(&store, Some(digest)), Err(StoreError::Content(_))));
        assert!(matches!(store.open_model(Digest::of(b"other")), Err(StoreError::UnknownModel { .. })));
    }
}
