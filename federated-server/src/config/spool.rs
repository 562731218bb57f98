use std::path::{Path, PathBuf};

use federated_core::config::ConfigError as Mistake;

/// Where updates are kept until they are combined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpoolConfig {
    /// In files, in the state folder.
    #[default]
    State,
    /// In files, in a folder of their own.
    Folder(PathBuf),
    /// In an object store: cargo feature `object-store`.
    ObjectStore(ObjectStoreUrl),
}

impl SpoolConfig {
    /// Reads the setting `spool.url`: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix` or
    /// `az://container/prefix`.
    ///
    /// # Errors
    /// [`federated_core::config::ConfigError`] for another scheme, for a bucket or prefix that is not plain, and for an
    /// object store when the cargo feature `object-store` is off.
    pub fn parse(url: &str) -> Result<Self, Mistake> {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let kind = match scheme {
            "file" => return folder(url, rest),
            "s3" => ObjectStoreKind::S3,
            "gs" => ObjectStoreKind::Gcs,
            "az" => ObjectStoreKind::Azure,
            _ => {
                let expected = "an address that begins with \"file://\", \"s3://\", \"gs://\" or \"az://\"";
                let hint = "leave spool.url out to keep updates in the state folder";
                return Err(Mistake::text("spool.url", expected, url, hint));
            }
        };
        let rest = rest.trim_end_matches('/');
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = is_plain(bucket) && (prefix.is_empty() || prefix.split('/').all(is_plain));
        if !plain {
            let expected =
                format!("\"{scheme}://bucket/prefix\" of letters, digits, '.', '_', '-' and single '/'");
            let hint = "credentials and endpoints come from the environment, not from the address";
            return Err(Mistake::text("spool.url", expected, url, hint));
        }
        object_store(url, kind, bucket, prefix)
    }
}

fn folder(url: &str, path: &str) -> Result<SpoolConfig, Mistake> {
    let path = Path::new(path);
    if path.is_absolute() {
        return Ok(SpoolConfig::Folder(path.to_owned()));
    }
    let hint = "three slashes: two of the address, one of the path";
    Err(Mistake::text("spool.url", "an absolute path such as \"file:///srv/spool\"", url, hint))
}

fn is_plain(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
}

/// Whose object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectStoreKind {
    /// Amazon S3, or what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// The address of an object store. [`SpoolConfig::parse`] makes one.
#[cfg(feature = "object-store")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStoreUrl {
    pub(crate) kind: ObjectStoreKind,
    pub(crate) bucket: String,
    /// Segments with a slash between them, or nothing.
    pub(crate) prefix: String,
}

/// The address of an object store. Without the cargo feature `object-store` there is none.
#[cfg(not(feature = "object-store"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectStoreUrl {}

#[cfg(feature = "object-store")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature this refuses")]
fn object_store(_: &str, kind: ObjectStoreKind, bucket: &str, prefix: &str) -> Result<SpoolConfig, Mistake> {
    let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
    Ok(SpoolConfig::ObjectStore(ObjectStoreUrl { kind, bucket, prefix }))
}

#[cfg(not(feature = "object-store"))]
fn object_store(url: &str, _: ObjectStoreKind, _: &str, _: &str) -> Result<SpoolConfig, Mistake> {
    let expected =
        "a folder such as \"file:///srv/spool\", since this program was built without object stores";
    let hint = "build it with the cargo feature `object-store`, or leave spool.url out";
    Err(Mistake::text("spool.url", expected, url, hint))
}

#[cfg(feature = "object-store")]
impl ObjectStoreUrl {
    /// The address of the bucket.
    pub(crate) fn without_prefix(&self) -> String {
        let scheme = match self.kind {
            ObjectStoreKind::S3 => "s3",
            ObjectStoreKind::Gcs => "gs",
            ObjectStoreKind::Azure => "az",
        };
        format!("{scheme}://{}", self.bucket)
    }
}

#[cfg(feature = "object-store")]
impl std::fmt::Display for ObjectStoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.without_prefix())?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_an_absolute_path() {
        assert_eq!(SpoolConfig::parse("file:///srv/spool"), Ok(SpoolConfig::Folder("/srv/spool".into())));
        for wrong in ["file://srv/spool", "file://"] {
            assert!(SpoolConfig::parse(wrong).unwrap_err().to_string().contains("file:///srv/spool"));
        }
    }

    #[test]
    fn an_unknown_scheme_or_an_odd_address_is_refused_with_what_is_allowed() {
        for wrong in ["", "/srv/spool", "http://a/b", "memory:///", "S3://bucket"] {
            let error = SpoolConfig::parse(wrong).unwrap_err().to_string();
            assert!(error.starts_with("spool.url: expected") && error.contains("\"s3://\""), "{error}");
        }
        for wrong in
            ["s3://", "s3:///p", "gs://b//p", "az://user@b", "s3://b/../c", "s3://b?k=v", "s3://b/a%2e"]
        {
            let error = SpoolConfig::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("from the environment"), "{error}");
        }
    }

    #[cfg(not(feature = "object-store"))]
    #[test]
    fn an_object_store_without_the_feature_is_refused_and_the_feature_named() {
        for url in ["s3://bucket/prefix", "gs://bucket", "az://container/a/b/"] {
            let error = SpoolConfig::parse(url).unwrap_err().to_string();
            assert!(error.contains("`object-store`"), "{error}");
        }
    }

    #[cfg(feature = "object-store")]
    #[test]
    fn the_address_of_an_object_store_has_a_bucket_and_perhaps_a_prefix() {
        for url in ["s3://bucket/prefix", "gs://bucket", "az://container/a/b"] {
            for written in [url.to_owned(), format!("{url}/")] {
                let Ok(SpoolConfig::ObjectStore(read)) = SpoolConfig::parse(&written) else {
                    panic!("{written} is refused");
                };
                assert_eq!(read.to_string(), url);
            }
        }
    }
}
