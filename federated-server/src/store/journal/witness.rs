use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use federated_core::ids::Digest;

use crate::store::{StoreError, positioned};

/// The count, and a digest of it.
const BYTES: usize = 8 + 32;

/// Notes beside a journal how often it was written.
///
/// SQLite leaves out what it cannot read at the end of its log, and does not say so: a file that was cut short would give
/// an earlier state, and receipts would be lost in silence. The note is written after each transaction and is never
/// synced, so it may be older than the journal after a loss of power; it is never newer, unless the journal lost
/// something.
#[derive(Debug)]
pub(super) struct Witness {
    path: PathBuf,
    file: Option<File>,
}

impl Witness {
    pub(super) fn beside(journal: &Path) -> Self {
        Self { path: journal.with_extension("witness"), file: None }
    }

    /// Compares a journal that was written `commits` times with the note; that there is none is fine.
    pub(super) fn check(&self, journal: &Path, commits: u64) -> Result<(), StoreError> {
        let noted = match fs::read(&self.path) {
            Ok(bytes) => parse(&bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::io("read", &self.path)(error)),
        };
        match noted {
            Some(noted) if noted > commits => {
                let (path, witness) = (journal.to_owned(), self.path.clone());
                Err(StoreError::JournalLost { path, commits, noted, witness })
            }
            Some(_) => Ok(()),
            None => {
                tracing::warn!(path = %self.path.display(), "the journal's witness is damaged and says nothing");
                Ok(())
            }
        }
    }

    /// Notes that the journal was written so many times. A note that cannot be written is an older one.
    pub(super) fn note(&mut self, commits: u64) {
        if let Err(error) = self.write(commits) {
            self.file = None;
            tracing::warn!(path = %self.path.display(), %error, "the journal's witness cannot be written");
        }
    }

    fn write(&mut self, commits: u64) -> std::io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)?,
        };
        let count = commits.to_le_bytes();
        let mut bytes = [0; BYTES];
        let (front, back) = bytes.split_at_mut(count.len());
        front.copy_from_slice(&count);
        back.copy_from_slice(Digest::of(&count).as_bytes());
        positioned::write_all_at(&file, &bytes, 0)?;
        self.file = Some(file);
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let (count, digest) = bytes.split_first_chunk::<8>()?;
    (Digest::of(count).as_bytes() == digest).then(|| u64::from_le_bytes(*count))
}
