//! Copies of all that a coordinator keeps: made while it runs, and put back where there is nothing yet.
//!
//! A backup is a state folder like any other: the journal in SQLite, wherever the coordinator has its own, with the
//! models and the finished updates that it speaks of, and the privacy ledgers of all jobs. Uploads under way are not in it; their participants send them again.
//!
//! Read in this order: [`backup`] and [`restore`]; `copy` is what both have in common.

mod copy;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use copy::Copied;

use self::copy::{Place, copy};
use crate::{
    config::{CoordinatorConfig, JournalConfig, SpoolConfig},
    store::{
        StoreError,
        journal::{self, Contents, MetadataStore, postgres, sqlite},
    },
};

/// How often a backup begins again because a round ended meanwhile and took along what was being copied.
const TRIES: u32 = 20;

/// Copies all that a coordinator keeps into `to`, a folder that is not there yet. The coordinator may run meanwhile: the
/// copy is of one moment.
///
/// # Errors
/// [`StoreError`] when something cannot be read, is damaged, or cannot be written.
pub async fn backup(config: &CoordinatorConfig, to: &Path) -> Result<Copied, StoreError> {
    refuse_existing(to)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let contents = read(config).await?;
        let from = Place::new(&config.state, &config.spool);
        match write(from, &CoordinatorConfig { state: to.to_owned(), ..blank(config) }, contents).await {
            Err(error) if tries < TRIES && has_moved(&error) => {
                tracing::debug!(%error, "a round ended while it was copied; begins again");
                std::fs::remove_dir_all(to).map_err(StoreError::io("remove", to))?;
            }
            done => return done,
        }
    }
}

/// Puts a backup back as the state of a coordinator that has none yet, and that does not run. A privacy ledger that is
/// there all the same stays: it may know of more than the backup's.
///
/// # Errors
/// [`StoreError`] when there is a state already, the backup is damaged, or something cannot be written.
pub async fn restore(config: &CoordinatorConfig, from: &Path) -> Result<Copied, StoreError> {
    refuse_existing(&config.state.join("models"))?;
    let contents = sqlite::read(from).await?;
    write(Place::new(from, &SpoolConfig::State), config, contents).await
}

/// The same coordinator with its journal and its updates in its state folder.
fn blank(config: &CoordinatorConfig) -> CoordinatorConfig {
    CoordinatorConfig { journal: JournalConfig::State, spool: SpoolConfig::State, ..config.clone() }
}

async fn read(config: &CoordinatorConfig) -> Result<Contents, StoreError> {
    match &config.journal {
        JournalConfig::State => sqlite::read(&config.state).await,
        JournalConfig::Postgres { url, .. } => postgres::read(url.reveal()).await,
    }
}

/// Writes all that a journal speaks of, and the journal last: without it there is nothing.
async fn write(from: Place, to: &CoordinatorConfig, contents: Contents) -> Result<Copied, StoreError> {
    let jobs = contents.jobs("that is copied")?;
    let place = Place::new(&to.state, &to.spool);
    let copying = tokio::task::spawn_blocking(move || copy(&jobs, &from, &place));
    let copied = copying.await.unwrap_or_else(|error| {
        let (action, path) = ("copy to", to.state.clone());
        Err(StoreError::Io { action, path, source: std::io::Error::other(error) })
    })?;
    let journal: Box<dyn MetadataStore> = match &to.journal {
        JournalConfig::State => Box::new(sqlite::SqliteMetadata::open(&to.state).await?),
        JournalConfig::Postgres { url, lease } => {
            Box::new(postgres::PostgresMetadata::open(url.reveal(), "restore", *lease).await?)
        }
    };
    journal::import(journal, contents).await?;
    Ok(copied)
}

fn refuse_existing(path: &Path) -> Result<(), StoreError> {
    if path.exists() { Err(StoreError::Occupied { path: path.to_owned() }) } else { Ok(()) }
}

/// Whether what was to be copied is no longer there, because the round that it belonged to has ended.
fn has_moved(error: &StoreError) -> bool {
    use std::io::ErrorKind::{NotFound, UnexpectedEof};
    match error {
        StoreError::Io { source, .. } => matches!(source.kind(), NotFound | UnexpectedEof),
        StoreError::Damaged { .. } => true,
        _ => false,
    }
}
