use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

use federated_core::privacy::{dp::ledger::Ledger, secagg::VerifyingPublic};

use super::{
    SiteLedgerError,
    folder::{LedgerFolder, Present},
};

/// A ledger as it is at one moment, for whoever only looks; a participant may write it meanwhile.
#[derive(Clone, Debug)]
pub struct LedgerCopy {
    path: PathBuf,
    ledger: Ledger,
    key: VerifyingPublic,
    /// All whole lines.
    whole: Vec<u8>,
    cut_off: usize,
}

impl LedgerCopy {
    /// Reads the ledger in a folder and checks every line. A last line that is cut off is left out.
    ///
    /// # Errors
    /// [`SiteLedgerError`] when there is none, or it is not as it was written.
    pub fn of_folder(folder: &Path) -> Result<Self, SiteLedgerError> {
        let folder = LedgerFolder::at(folder);
        let LedgerFolder { root, ledger: path, key } = &folder;
        match folder.present()? {
            Present::Both => {}
            Present::Neither | Present::KeyUnnamed => {
                return Err(SiteLedgerError::Absent { folder: root.clone() });
            }
            Present::OnlyKey => {
                return Err(SiteLedgerError::LedgerMissing { ledger: path.clone(), key: key.clone() });
            }
            Present::OnlyLedger => {
                return Err(SiteLedgerError::KeyMissing { ledger: path.clone(), key: key.clone() });
            }
        }
        let key = folder.read_key()?.public();
        let mut whole = folder.read_ledger()?;
        let (ledger, tail) = Ledger::read(&whole, &key).map_err(SiteLedgerError::ledger(path))?;
        let cut_off = tail.map_or(0, |tail| tail.len());
        whole.truncate(whole.len().saturating_sub(cut_off));
        Ok(Self { path: folder.ledger, ledger, key, whole, cut_off })
    }

    /// Where the ledger of a folder is.
    #[must_use]
    pub fn file_in(folder: &Path) -> PathBuf {
        LedgerFolder::at(folder).ledger
    }

    /// With which anyone can check the ledger of a folder.
    ///
    /// # Errors
    /// [`SiteLedgerError`] when there is no key.
    pub fn key_in(folder: &Path) -> Result<VerifyingPublic, SiteLedgerError> {
        LedgerFolder::at(folder).read_key().map(|key| key.public())
    }

    /// Writes all whole lines to a new file, which anyone with the key can check.
    ///
    /// # Errors
    /// [`SiteLedgerError`] when there is such a file already, or it cannot be written.
    pub fn export(&self, to: &Path) -> Result<(), SiteLedgerError> {
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).open(to)?;
            file.write_all(&self.whole)?;
            file.sync_all()
        };
        write().map_err(SiteLedgerError::write(to))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the lines say.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// With which anyone can check them.
    #[must_use]
    pub const fn key(&self) -> VerifyingPublic {
        self.key
    }

    /// The length of a last line that is cut off, in bytes: it is being written, or a crash came.
    #[must_use]
    pub const fn cut_off(&self) -> usize {
        self.cut_off
    }
}
