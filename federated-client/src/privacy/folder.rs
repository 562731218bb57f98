//! The folder of the ledger: made so that a crash at any moment leaves either no ledger, or one that can be gone on with.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use federated_core::privacy::{dp::ledger::Append, secagg::SigningSecret};
use zeroize::Zeroizing;

use super::{SiteLedgerError, WriteError};

/// What a file's name ends with until both files are there.
const UNFINISHED: &str = ".new";

/// The ledger's file, open for its end.
#[derive(Debug)]
pub(super) struct LedgerFile {
    path: PathBuf,
    file: File,
}

impl Append for LedgerFile {
    type Error = WriteError;

    fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_all());
        written.map_err(|source| WriteError { path: self.path.clone(), source })
    }
}

/// Which of the files are there.
pub(super) enum Present {
    /// Nothing was ever spent here.
    Neither,
    /// As they should be.
    Both,
    /// A crash came between the names of the two.
    KeyUnnamed,
    OnlyKey,
    OnlyLedger,
}

/// Where the files are.
#[derive(Debug)]
pub(super) struct LedgerFolder {
    pub(super) root: PathBuf,
    pub(super) ledger: PathBuf,
    pub(super) key: PathBuf,
}

impl LedgerFolder {
    pub(super) fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), ledger: root.join("ledger.jsonl"), key: root.join("ledger.key") }
    }

    /// Makes the folder where it is missing, for its owner alone, and locks it until the file is dropped.
    pub(super) fn lock(&self) -> Result<File, SiteLedgerError> {
        create_folder(&self.root).map_err(SiteLedgerError::write(&self.root))?;
        let path = self.root.join("lock");
        let mut options = OpenOptions::new();
        let lock = private(options.write(true).create(true).truncate(false)).open(&path);
        let lock = lock.map_err(SiteLedgerError::write(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(SiteLedgerError::InUse { path: self.root.clone() }),
            Err(TryLockError::Error(source)) => Err(SiteLedgerError::write(&path)(source)),
        }
    }

    pub(super) fn present(&self) -> Result<Present, SiteLedgerError> {
        let is_there = |path: &Path| path.try_exists().map_err(SiteLedgerError::read(path));
        Ok(match (is_there(&self.key)?, is_there(&self.ledger)?) {
            (false, false) => Present::Neither,
            (true, true) => Present::Both,
            (true, false) => Present::OnlyKey,
            (false, true) if is_there(&unfinished(&self.key))? => Present::KeyUnnamed,
            (false, true) => Present::OnlyLedger,
        })
    }

    /// Writes a new key under its unfinished name, and opens an empty file for the ledger under its own.
    pub(super) fn begin(&self, key: &SigningSecret) -> Result<LedgerFile, SiteLedgerError> {
        let path = unfinished(&self.key);
        let write = || {
            let mut file = fresh(&path)?;
            writeln!(file, "{}", *key.to_hex())?;
            file.sync_all()
        };
        write().map_err(SiteLedgerError::write(&path))?;
        let file = fresh(&unfinished(&self.ledger)).map_err(SiteLedgerError::write(&self.ledger))?;
        Ok(LedgerFile { path: self.ledger.clone(), file })
    }

    /// Gives the files their names, the key's last: a key without a ledger is then never a crash's.
    pub(super) fn publish(&self) -> Result<(), SiteLedgerError> {
        self.name(&self.ledger)?;
        self.name(&self.key)
    }

    /// Gives a finished file its name, durably.
    pub(super) fn name(&self, path: &Path) -> Result<(), SiteLedgerError> {
        let name = || {
            sync_folder(&self.root)?;
            fs::rename(unfinished(path), path)?;
            sync_folder(&self.root)
        };
        name().map_err(SiteLedgerError::write(path))
    }

    /// Writes a small file for good, in one step.
    pub(super) fn keep(&self, path: &Path, text: &str) -> Result<(), SiteLedgerError> {
        let unfinished = unfinished(path);
        let write = || {
            let mut file = fresh(&unfinished)?;
            writeln!(file, "{text}")?;
            file.sync_all()
        };
        write().map_err(SiteLedgerError::write(&unfinished))?;
        self.name(path)
    }

    /// Opens the ledger for its end.
    pub(super) fn open_ledger(&self) -> Result<LedgerFile, SiteLedgerError> {
        let open = || {
            let file = OpenOptions::new().append(true).open(&self.ledger)?;
            // What an earlier process wrote and this one reads is on disk before anything relies on it.
            file.sync_all().map(|()| file)
        };
        let file = open().map_err(SiteLedgerError::write(&self.ledger))?;
        Ok(LedgerFile { path: self.ledger.clone(), file })
    }

    pub(super) fn read_ledger(&self) -> Result<Vec<u8>, SiteLedgerError> {
        fs::read(&self.ledger).map_err(SiteLedgerError::read(&self.ledger))
    }

    pub(super) fn read_key(&self) -> Result<SigningSecret, SiteLedgerError> {
        let text = fs::read_to_string(&self.key).map_err(SiteLedgerError::read(&self.key))?;
        Zeroizing::new(text).parse().map_err(|_| SiteLedgerError::Key { path: self.key.clone() })
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(UNFINISHED);
    path.with_file_name(name)
}

/// An empty file in place of whatever a crash may have left.
fn fresh(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    private(OpenOptions::new().append(true).create_new(true)).open(path)
}

/// Makes a folder, and those above it, and makes the name of each durable.
fn create_folder(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    create_folder(parent)?;
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    sync_folder(parent)
}

/// Makes the names in a folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}
