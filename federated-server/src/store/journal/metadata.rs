use std::{fmt::Debug, time::Duration};

use federated_core::ids::JobName;
use futures::future::BoxFuture;

use crate::store::StoreError;

/// Where the logs of all jobs are kept. One coordinator writes at a time.
///
/// `conformance` (cargo feature `test-util`) checks an implementation.
pub trait MetadataStore: Debug + Send {
    /// Which store this is, for errors: never with a password.
    fn place(&self) -> &str;

    /// How often a writer must give a sign of life, by [`MetadataStore::write`], to stay the writer.
    fn renew_every(&self) -> Option<Duration> {
        None
    }

    /// Everything that was written.
    ///
    /// # Errors
    /// [`StoreError::Journal`] when it cannot be read.
    fn read(&mut self) -> BoxFuture<'_, Result<Contents, StoreError>>;

    /// Writes all of it or nothing, and returns when it is durable; gives how often anything was written.
    ///
    /// After an error it is not known whether it was written. The same may be written again: it is there once.
    ///
    /// # Errors
    /// [`StoreError::Journal`] when it cannot be written, [`StoreError::LeaseLost`] when another coordinator writes.
    fn write<'a>(&'a mut self, appends: &'a [Append]) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Removes a log; that there is none is fine. Gives how often anything was written.
    ///
    /// # Errors
    /// As [`MetadataStore::write`].
    fn remove<'a>(&'a mut self, job: &'a JobName) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Closes the store; after this another coordinator need not wait.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Where a log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many entries it has.
    pub length: u64,
    /// The link of the last one: 32 bytes.
    pub link: Vec<u8>,
}

/// What is to be added to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Whose log.
    pub job: JobName,
    /// The number of the first new entry: how many there are already.
    pub first: u64,
    /// The encoded entries.
    pub bodies: Vec<Vec<u8>>,
    /// Where the log ends then.
    pub head: Head,
}

/// A log as it was read, not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLog {
    /// Whose.
    pub job: String,
    /// Where it should end; `None` when there are entries of a job that has no log.
    pub head: Option<Head>,
    /// The entries with their numbers, in the order of these.
    pub entries: Vec<(u64, Vec<u8>)>,
}

/// All that a store holds, not checked yet: [`Contents::jobs`] does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// How often anything was written.
    pub commits: u64,
    /// The logs, in the order of the jobs' names.
    pub logs: Vec<StoredLog>,
}
