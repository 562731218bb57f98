use std::{io, ops::Range, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    future::try_join_all,
    stream::{self, BoxStream},
};
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, path::Path};
use tokio::runtime::Handle;

use crate::store::StoreError;

/// The operations of an object store; each blocks until it is done.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    /// What it is called in errors.
    name: Arc<str>,
}

impl Bucket {
    pub(super) fn new(store: Arc<dyn ObjectStore>, runtime: Handle, name: impl Into<Arc<str>>) -> Self {
        Self { store, runtime, name: name.into() }
    }

    /// An object or folder as errors name it.
    pub(super) fn location(&self, path: &Path) -> PathBuf {
        format!("{}/{path}", self.name).into()
    }

    /// All objects in a folder and those below it, in any order.
    pub(super) fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>, StoreError> {
        let objects = self.store.list(Some(folder)).try_collect();
        self.runtime.block_on(objects).map_err(self.failed("list", folder))
    }

    /// Writes an object; it is durable when this returns.
    pub(super) fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<(), StoreError> {
        let put = self.store.put(path, bytes.into());
        self.runtime.block_on(put).map(|_| ()).map_err(self.failed("write", path))
    }

    /// Reads ranges of objects, all at once.
    pub(super) fn get(&self, ranges: &[(Path, Range<u64>)]) -> Result<Vec<Bytes>, StoreError> {
        let get = |(path, range): &(Path, Range<u64>)| {
            let (store, path, range) = (&self.store, path.clone(), range.clone());
            async move { store.get_range(&path, range).await.map_err(self.failed("read", &path)) }
        };
        self.runtime.block_on(try_join_all(ranges.iter().map(get)))
    }

    /// Removes objects; that one is not there is fine.
    pub(super) fn remove(&self, paths: Vec<Path>) -> Result<(), StoreError> {
        let Some(first) = paths.first().cloned() else { return Ok(()) };
        let paths: BoxStream<'static, _> = stream::iter(paths.into_iter().map(Ok)).boxed();
        let removed = self.store.delete_stream(paths).filter(|result| {
            let gone = matches!(result, Ok(_) | Err(Error::NotFound { .. }));
            async move { !gone }
        });
        // One that cannot be removed does not keep the others.
        let failures: Vec<_> = self.runtime.block_on(removed.collect());
        failures.into_iter().next().map_or(Ok(()), |failure| {
            failure.map(|_| ()).map_err(self.failed("remove objects such as", &first))
        })
    }

    fn failed(&self, action: &'static str, path: &Path) -> impl FnOnce(Error) -> StoreError {
        let failed = StoreError::io(action, self.location(path));
        move |error| failed(as_io(error))
    }
}

/// As an error of input and output; the object store's own is its source.
pub(super) fn as_io(error: Error) -> io::Error {
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
