//! What a job spends of its privacy budget, as the coordinator writes it down: a file for each job, signed with the
//! coordinator's key.
//!
//! Read in this order: [`JobLedger`], which is asked before anything of a round is computed; `file`, how a line gets to disk;
//! what may be wrong ([`JobLedgerError`]).

mod error;
mod file;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use federated_core::{
    ids::JobName,
    privacy::{
        dp::{
            Composition,
            ledger::{Budget, Granted, KeptError, KeptLedger, Ledger, ReserveError},
        },
        secagg::{SigningSecret, VerifyingPublic},
    },
    time::Timestamp,
};

pub use error::JobLedgerError;
use file::LedgerFile;

use super::{Store, StoreError, durable};

/// The folder of the ledgers in a state folder.
pub(crate) const FOLDER: &str = "ledgers";

/// A job's ledger, on disk, for as long as this value lives for this coordinator alone.
///
/// What is to be released is planned once and reserved each time, before anything of it is computed; then it is released,
/// and committed. All methods block for as long as the disk takes; [`reserve`](Self::reserve) for up to a second more when the
/// limit is near and the accountant is a slow one.
///
/// A ledger stays when its job is forgotten: another job of the same name goes on with it.
#[derive(Debug)]
pub struct JobLedger {
    kept: KeptLedger<LedgerFile>,
}

impl JobLedger {
    /// Where the ledger of a job is in a state folder.
    #[must_use]
    pub fn path(state: &Path, job: &JobName) -> PathBuf {
        state.join(FOLDER).join(format!("{job}.jsonl"))
    }

    /// Opens a job's ledger, or makes it: for a job of which nothing was released yet.
    ///
    /// # Errors
    /// [`JobLedgerError`]: nothing may be released.
    pub fn open(
        store: &Store,
        job: &JobName,
        budget: Budget,
        signing: SigningSecret,
        now: Timestamp,
    ) -> Result<Self, JobLedgerError> {
        let path = Self::path(store.root(), job);
        if path.try_exists().map_err(StoreError::io("look for", &path))? {
            return Self::reopen(store, job, budget, signing, now);
        }
        let file = LedgerFile::fresh(&path)?;
        let kept = KeptLedger::create(job.as_str(), budget, signing, file, now);
        let kept = kept.map_err(JobLedgerError::kept(job))?;
        durable::publish(&file::unfinished(&path), &path)?;
        Ok(Self { kept })
    }

    /// Opens the ledger of a job that may have released something. A last line that was cut off is noted and counts as spent,
    /// and a limit that is another one than before is written down.
    ///
    /// # Errors
    /// [`JobLedgerError::Missing`] when it is gone; otherwise as [`JobLedger::open`].
    pub fn reopen(
        store: &Store,
        job: &JobName,
        budget: Budget,
        signing: SigningSecret,
        now: Timestamp,
    ) -> Result<Self, JobLedgerError> {
        let path = Self::path(store.root(), job);
        let Some(file) = LedgerFile::existing(&path)? else {
            return Err(JobLedgerError::Missing { job: job.clone(), path });
        };
        let bytes = fs::read(&path).map_err(StoreError::io("read", &path))?;
        let failed = || JobLedgerError::kept(job);
        let mut kept = KeptLedger::reopen(&bytes, signing, file, now).map_err(failed())?;
        kept.rebudget(&budget, now).map_err(failed())?;
        Ok(Self { kept })
    }

    /// Says what each release of this name spends. Said again with the same charge, nothing is written.
    ///
    /// # Errors
    /// [`KeptError`] when it was said otherwise before, or cannot be kept.
    pub fn plan(
        &mut self,
        release: &str,
        charge: &Composition,
        now: Timestamp,
    ) -> Result<(), KeptError<StoreError>> {
        self.kept.plan(release, charge, now)
    }

    /// Reserves one release. Only once this has returned may anything of it be computed.
    ///
    /// # Errors
    /// [`ReserveError`], of which [`ReserveError::OverBudget`] is the job's limit; nothing may be released.
    pub fn reserve(
        &mut self,
        release: &str,
        occasion: &str,
        now: Timestamp,
    ) -> Result<Granted, ReserveError<StoreError>> {
        self.kept.reserve(release, occasion, now)
    }

    /// Notes that what was reserved has been released.
    ///
    /// # Errors
    /// [`KeptError`] when it cannot be kept. It stays spent.
    pub fn commit(&mut self, granted: Granted, now: Timestamp) -> Result<(), KeptError<StoreError>> {
        self.kept.commit(granted, now)
    }

    /// Notes that what was reserved before a restart has been released; gives whether a reservation of that occasion was open.
    /// It allows no release.
    ///
    /// # Errors
    /// [`KeptError`] when it cannot be kept. It stays spent.
    pub fn commit_earlier(
        &mut self,
        release: &str,
        occasion: &str,
        now: Timestamp,
    ) -> Result<bool, KeptError<StoreError>> {
        self.kept.commit_earlier(release, occasion, now)
    }

    /// What was spent so far.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        self.kept.ledger()
    }

    /// With which anyone can check the ledger.
    #[must_use]
    pub const fn public(&self) -> VerifyingPublic {
        self.kept.public()
    }
}
