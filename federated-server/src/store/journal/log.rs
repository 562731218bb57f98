use std::{collections::BTreeMap, time::Duration};

use federated_core::{
    checkpoint,
    ids::JobName,
    job::{Entry, Job, Link},
    selection::UniformSelector,
};

use super::{Append, Contents, Head, MetadataStore, StoredLog};
use crate::store::StoreError;

/// The logs of all jobs, and what is still to be written to them.
#[derive(Debug)]
pub struct Journal {
    store: Box<dyn MetadataStore>,
    ends: BTreeMap<JobName, End>,
    /// Encoded and chained, and not written yet.
    pending: BTreeMap<JobName, Append>,
}

/// Where a log ends, with what is pending.
#[derive(Clone, Copy, Debug)]
struct End {
    length: u64,
    link: Link,
}

impl Journal {
    /// Reads back every job: each log is checked against its chain, and then gives the job.
    ///
    /// # Errors
    /// [`StoreError`] when a log cannot be read, is damaged, or is no job's log: nothing is left out in silence.
    pub async fn load(mut store: Box<dyn MetadataStore>) -> Result<(Self, Vec<Job>), StoreError> {
        let contents = store.read().await?;
        let mut journal = Self { store, ends: BTreeMap::new(), pending: BTreeMap::new() };
        let mut jobs = Vec::new();
        for log in &contents.logs {
            let (name, end) = verify(journal.store.place(), log)?;
            jobs.push(replay(&name, &log.entries)?);
            journal.ends.insert(name, end);
        }
        Ok((journal, jobs))
    }

    /// Adds an entry to a job's log; [`Journal::commit`] writes it.
    ///
    /// # Errors
    /// [`StoreError::Record`] when it cannot be encoded.
    pub fn push(&mut self, job: &JobName, entry: &Entry) -> Result<(), StoreError> {
        let body = checkpoint::encode(entry).map_err(|source| StoreError::record(job, source))?;
        let end = self.ends.entry(job.clone()).or_insert_with(|| End { length: 0, link: Link::first(job) });
        let append = self.pending.entry(job.clone()).or_insert_with(|| Append {
            job: job.clone(),
            first: end.length,
            bodies: Vec::new(),
            head: Head { length: end.length, link: Vec::new() },
        });
        *end = End { length: end.length + 1, link: end.link.then(&body) };
        append.head = Head { length: end.length, link: end.link.as_bytes().to_vec() };
        append.bodies.push(body);
        Ok(())
    }

    /// Whether all is written.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.pending.is_empty()
    }

    /// Writes what was added; it is durable when this returns. After an error it may be tried again.
    ///
    /// # Errors
    /// As [`MetadataStore::write`].
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        let appends: Vec<Append> = self.pending.values().cloned().collect();
        if !appends.is_empty() {
            self.store.write(&appends).await?;
            self.pending.clear();
        }
        Ok(())
    }

    /// As [`MetadataStore::renew_every`].
    #[must_use]
    pub fn renew_every(&self) -> Option<Duration> {
        self.store.renew_every()
    }

    /// Tells other coordinators that this one is there.
    ///
    /// # Errors
    /// As [`MetadataStore::write`].
    pub async fn renew(&mut self) -> Result<(), StoreError> {
        self.store.write(&[]).await.map(drop)
    }

    /// Removes the log of a job that nobody needs any more.
    ///
    /// # Errors
    /// As [`MetadataStore::remove`].
    pub async fn remove(&mut self, job: &JobName) -> Result<(), StoreError> {
        self.store.remove(job).await?;
        self.ends.remove(job);
        self.pending.remove(job);
        Ok(())
    }

    /// Closes the store.
    pub async fn close(self) {
        self.store.close().await;
    }
}

impl Contents {
    /// The jobs that the logs give, in the order of their names; `place` is where they were read, for errors.
    ///
    /// # Errors
    /// As [`Journal::load`].
    pub fn jobs(&self, place: &str) -> Result<Vec<Job>, StoreError> {
        let job = |log| verify(place, log).and_then(|(name, _)| replay(&name, &log.entries));
        self.logs.iter().map(job).collect()
    }
}

/// Writes the contents of another store, checked before, to one that is empty, and closes it.
///
/// # Errors
/// [`StoreError::JournalDamaged`] when it is not empty, and as [`MetadataStore::write`].
pub(crate) async fn import(mut store: Box<dyn MetadataStore>, contents: Contents) -> Result<(), StoreError> {
    let found = store.read().await?.logs.len();
    if found > 0 {
        let (place, expected) = (store.place().to_owned(), "an empty journal to restore to".to_owned());
        return Err(StoreError::JournalDamaged { place, expected, found: format!("{found} jobs") });
    }
    let append = |log: StoredLog| {
        let bodies = log.entries.into_iter().map(|(_, body)| body).collect();
        Some(Append { job: log.job.parse().ok()?, first: 0, bodies, head: log.head? })
    };
    let appends: Vec<Append> = contents.logs.into_iter().filter_map(append).collect();
    store.write(&appends).await?;
    store.close().await;
    Ok(())
}

/// Checks a log against its chain.
fn verify(place: &str, log: &StoredLog) -> Result<(JobName, End), StoreError> {
    let damaged = |expected: String, found: String| StoreError::JournalDamaged {
        place: format!("{place}, log of job `{}`", log.job),
        expected,
        found,
    };
    let name = log.job.parse::<JobName>();
    let name = name.map_err(|_| damaged("the name of a job".to_owned(), format!("{:?}", log.job)))?;
    let Some(head) = &log.head else {
        return Err(damaged("no entries, for there is no such log".to_owned(), "some".to_owned()));
    };
    let numbers = (0..).zip(&log.entries);
    if let Some((expected, (found, _))) = numbers.into_iter().find(|(number, (found, _))| number != found) {
        return Err(damaged(format!("entry {expected}"), format!("entry {found}")));
    }
    let length = log.entries.len() as u64;
    if length != head.length {
        return Err(damaged(format!("{} entries", head.length), length.to_string()));
    }
    let link = log.entries.iter().fold(Link::first(&name), |link, (_, body)| link.then(body));
    if link.as_bytes().as_slice() != head.link {
        return Err(damaged("entries that fit the chain".to_owned(), "others".to_owned()));
    }
    Ok((name, End { length, link }))
}

fn replay(name: &JobName, entries: &[(u64, Vec<u8>)]) -> Result<Job, StoreError> {
    let decoded = entries.iter().map(|(_, body)| checkpoint::decode::<Entry>(body));
    let decoded =
        decoded.collect::<Result<Vec<_>, _>>().map_err(|source| StoreError::record(name, source))?;
    let job = Job::replay(decoded, &UniformSelector);
    job.map_err(|source| StoreError::Log { job: name.clone(), source })
}
