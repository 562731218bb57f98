use crate::ids::{Digest, JobName};

/// One link of the chain that a job's log forms: it depends on every entry up to its own.
///
/// The chain of a job begins with the job's name, so that no log can stand for another's. It tells a log that changed
/// from one that did not; it is not keyed, so whoever can write the whole log can write another chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(Digest);

impl Link {
    /// What the chain of a job's log begins with.
    #[must_use]
    pub fn first(job: &JobName) -> Self {
        Self(Digest::of(format!("federated log {job}").as_bytes()))
    }

    /// The link of the next entry, as it was encoded.
    #[must_use]
    pub fn then(self, entry: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(32 + entry.len());
        bytes.extend_from_slice(self.0.as_bytes());
        bytes.extend_from_slice(entry);
        Self(Digest::of(&bytes))
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}
