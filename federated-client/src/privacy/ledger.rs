use std::fs::File;

use federated_core::{
    ids::ParticipantName,
    privacy::{
        dp::{
            Composition,
            ledger::{Granted, KeptError, KeptLedger, Ledger, ReserveError},
        },
        secagg::{SigningSecret, VerifyingPublic},
    },
    time::Timestamp,
};

use super::{
    SiteLedgerError, WriteError,
    folder::{LedgerFile, LedgerFolder, Present},
};
use crate::{config::SiteBudget, signing};

/// This site's ledger, on disk, for as long as this value lives for this process alone.
///
/// What is to be released is planned once and reserved each time, before anything of it is computed; then it is released,
/// and committed. All methods block, for as long as the disk takes; [`reserve`](Self::reserve) for up to a second more when the
/// limit is near.
///
/// # Privacy
/// The coordinator cannot make a site spend more: it does not have this ledger. Whoever owns the site's disk can delete all of
/// it, or put an older copy in its place.
#[derive(Debug)]
pub struct SiteLedger {
    kept: KeptLedger<LedgerFile>,
    /// The lock goes with the file.
    _lock: File,
}

impl SiteLedger {
    /// Opens this site's ledger. The first time it is made, with a key of its own; later a last line that was cut off is
    /// noted and counts as spent, and a limit that was changed in the configuration is written down.
    ///
    /// # Errors
    /// [`SiteLedgerError`]: nothing may be released.
    pub fn open(
        config: &SiteBudget,
        name: &ParticipantName,
        now: Timestamp,
    ) -> Result<Self, SiteLedgerError> {
        let folder = LedgerFolder::at(&config.folder);
        let lock = folder.lock()?;
        let failed = || SiteLedgerError::kept(&folder.ledger);
        let mut kept = match folder.present()? {
            Present::Neither => create(&folder, config, name, now)?,
            Present::Both => reopen(&folder, now)?,
            Present::KeyUnnamed => {
                folder.name(&folder.key)?;
                reopen(&folder, now)?
            }
            Present::OnlyKey => {
                let LedgerFolder { ledger, key, .. } = folder;
                return Err(SiteLedgerError::LedgerMissing { ledger, key });
            }
            Present::OnlyLedger => {
                let LedgerFolder { ledger, key, .. } = folder;
                return Err(SiteLedgerError::KeyMissing { ledger, key });
            }
        };
        kept.rebudget(&config.budget(), now).map_err(failed())?;
        Ok(Self { kept, _lock: lock })
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
    ) -> Result<(), KeptError<WriteError>> {
        self.kept.plan(release, charge, now)
    }

    /// Reserves one release. Only once this has returned may anything of it be computed.
    ///
    /// # Errors
    /// [`ReserveError`], of which [`ReserveError::OverBudget`] is this site's limit; nothing may be released.
    pub fn reserve(
        &mut self,
        release: &str,
        occasion: &str,
        now: Timestamp,
    ) -> Result<Granted, ReserveError<WriteError>> {
        self.kept.reserve(release, occasion, now)
    }

    /// Notes that what was reserved has been released.
    ///
    /// # Errors
    /// [`KeptError`] when it cannot be kept. It stays spent.
    pub fn commit(&mut self, granted: Granted, now: Timestamp) -> Result<(), KeptError<WriteError>> {
        self.kept.commit(granted, now)
    }

    /// Notes that what was reserved before a restart has been released; gives whether a reservation of that occasion was open.
    /// It allows no release: only the very bytes that were made under that reservation may be sent again.
    ///
    /// # Errors
    /// [`KeptError`] when it cannot be kept. It stays spent.
    pub fn commit_earlier(
        &mut self,
        release: &str,
        occasion: &str,
        now: Timestamp,
    ) -> Result<bool, KeptError<WriteError>> {
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

fn create(
    folder: &LedgerFolder,
    config: &SiteBudget,
    name: &ParticipantName,
    now: Timestamp,
) -> Result<KeptLedger<LedgerFile>, SiteLedgerError> {
    let key = SigningSecret::from_seed(signing::random()?);
    let file = folder.begin(&key)?;
    let kept = KeptLedger::create(name.as_str(), config.budget(), key, file, now);
    let kept = kept.map_err(SiteLedgerError::kept(&folder.ledger))?;
    folder.publish()?;
    Ok(kept)
}

fn reopen(folder: &LedgerFolder, now: Timestamp) -> Result<KeptLedger<LedgerFile>, SiteLedgerError> {
    let file = folder.open_ledger()?;
    let kept = KeptLedger::reopen(&folder.read_ledger()?, folder.read_key()?, file, now);
    kept.map_err(SiteLedgerError::kept(&folder.ledger))
}
