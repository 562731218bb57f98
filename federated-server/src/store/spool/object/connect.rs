use std::{error::Error as _, io, sync::Arc, time::Duration};

use object_store::{
    Error, ObjectStore, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, path::Path,
};
use tokio::runtime::Handle;

use super::{Bucket, ObjectSpool, SEGMENT, bucket::as_io};
use crate::{
    config::{ObjectStoreKind, ObjectStoreUrl},
    store::StoreError,
};

/// The folder of the object that shows at the start that the bucket can be written. No job has such a name.
const PROBE: &str = "_probe";
/// How often a request is tried again, within how long: a participant that waits for its receipt tries again itself.
const RETRIES: usize = 5;
const RETRY_WITHIN: Duration = Duration::from_secs(60);

/// Opens the object store of the configuration, with credentials from the environment, and tries it out.
///
/// The environment's variables are those that the builders of the crate `object_store` read: `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT` and so on for S3, `GOOGLE_*` and `AZURE_STORAGE_*` for the
/// others. On a machine of the cloud's own its instance metadata is asked.
///
/// # Errors
/// [`StoreError::ObjectStore`] when it cannot be reached, written, listed or deleted from.
pub(in crate::store::spool) fn connect(url: &ObjectStoreUrl) -> Result<ObjectSpool, StoreError> {
    let refused = |action| {
        move |error: io::Error| {
            let (url, source) = (url.to_string(), with_root_cause(error));
            StoreError::ObjectStore { url, action, source }
        }
    };
    // The client of object_store takes the process's; that there is one already is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime =
        Handle::try_current().map_err(io::Error::other).map_err(refused("find a runtime to use it"))?;
    let store = build(url).map_err(as_io).map_err(refused("be configured from the environment"))?;
    let prefix = Path::parse(&url.prefix).map_err(io::Error::other).map_err(refused("name the prefix"))?;
    let bucket = Bucket::new(store, runtime, url.without_prefix());
    probe(&bucket, &prefix).map_err(|(action, error)| match error {
        StoreError::Io { source, .. } => refused(action)(source),
        error => error,
    })?;
    Ok(ObjectSpool { bucket, prefix, segment: SEGMENT })
}

fn build(url: &ObjectStoreUrl) -> Result<Arc<dyn ObjectStore>, Error> {
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_WITHIN, ..RetryConfig::default() };
    Ok(match url.kind {
        ObjectStoreKind::S3 => {
            Arc::new(AmazonS3Builder::from_env().with_bucket_name(&url.bucket).with_retry(retry).build()?)
        }
        ObjectStoreKind::Gcs => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&url.bucket);
            Arc::new(builder.with_retry(retry).build()?)
        }
        ObjectStoreKind::Azure => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(&url.bucket);
            Arc::new(builder.with_retry(retry).build()?)
        }
    })
}

/// The client's errors leave out the last cause, such as "connection refused".
fn with_root_cause(error: io::Error) -> io::Error {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let root = causes.last().map(ToString::to_string);
    match root.filter(|root| !error.to_string().contains(root)) {
        Some(root) => io::Error::new(error.kind(), format!("{error}: {root}")),
        None => error,
    }
}

/// Does what the spool will do: writes an object, lists and reads it, and removes it. An error says which of these.
pub(super) fn probe(bucket: &Bucket, prefix: &Path) -> Result<(), (&'static str, StoreError)> {
    let folder = prefix.clone().join(PROBE);
    let object = folder.clone().join("object");
    let during = |action| move |error| (action, error);
    bucket.put(&object, PROBE.into()).map_err(during("write"))?;
    bucket.list(&folder).map_err(during("list"))?;
    bucket.get(&[(object.clone(), 0..1)]).map_err(during("read"))?;
    bucket.remove(vec![object]).map_err(during("delete"))
}
