//! The journal in a SQLite file in the state folder: nothing to set up.
//!
//! Written ahead (`journal_mode = WAL`) and synced with every transaction (`synchronous = FULL`): what was written
//! survives a crash and a loss of power.
//!
//! # References
//! <https://www.sqlite.org/wal.html>, <https://www.sqlite.org/pragma.html#pragma_synchronous>

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use federated_core::ids::JobName;
use futures::{FutureExt, future::BoxFuture};
use sqlx::{
    ConnectOptions, Connection, Row,
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous},
};

use super::{Append, Contents, MetadataStore, sql, witness::Witness};
use crate::store::{StoreError, durable};

/// The name of the file in the state folder.
const FILE: &str = "journal.sqlite";
/// How long to wait for another process that has the file open, for instance a backup.
const PATIENCE: Duration = Duration::from_secs(10);

mod statements {
    super::sql::statements!(sqlx::Sqlite, "CAST(unixepoch('subsec') * 1000 AS INTEGER)");

    /// SQLite reads of one moment within any transaction.
    async fn begin_to_read(connection: &mut Connection) -> sqlx::Result<sqlx::Transaction<'_, sqlx::Sqlite>> {
        connection.begin().await
    }

    pub(super) async fn take_over(connection: &mut Connection) -> sqlx::Result<i64> {
        let statement = "UPDATE coordinator SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch";
        query_scalar(statement).fetch_one(connection).await
    }
}

/// The journal in a file.
#[derive(Debug)]
pub struct SqliteMetadata {
    path: PathBuf,
    place: String,
    connection: SqliteConnection,
    epoch: i64,
    witness: Witness,
}

impl SqliteMetadata {
    /// Opens the journal in a state folder that nobody else uses, making it if need be.
    ///
    /// # Errors
    /// [`StoreError::Journal`] when the file cannot be used, [`StoreError::JournalDamaged`] when its pages do not fit
    /// together, [`StoreError::JournalNewer`] when a later version of the software wrote it,
    /// [`StoreError::JournalLost`] when it has lost what it held.
    pub async fn open(state: &Path) -> Result<Self, StoreError> {
        let path = state.join(FILE);
        let place = path.display().to_string();
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .pragma("cell_size_check", "ON")
            .disable_statement_logging();
        let failed = |action| StoreError::journal(action, &place);
        let mut connection = options.connect().await.map_err(failed("open"))?;
        check_pages(&mut connection, &place).await?;
        sql::prepare(&mut connection, &place).await?;
        durable::sync_folder(state)?;
        let epoch = statements::take_over(&mut connection).await.map_err(failed("write to"))?;
        Ok(Self { witness: Witness::beside(&path), path, place, connection, epoch })
    }

    fn wrote(&mut self, written: sqlx::Result<Option<u64>>) -> Result<u64, StoreError> {
        let commits = written.map_err(StoreError::journal("write to", &self.place))?;
        let commits = commits.ok_or_else(|| StoreError::LeaseLost { place: self.place.clone() })?;
        self.witness.note(commits);
        Ok(commits)
    }
}

/// Reads a journal that another process may have open, and changes nothing.
pub(crate) async fn read(state: &Path) -> Result<Contents, StoreError> {
    let path = state.join(FILE);
    let place = path.display().to_string();
    let options =
        SqliteConnectOptions::new().filename(&path).busy_timeout(PATIENCE).disable_statement_logging();
    let mut connection = options.connect().await.map_err(StoreError::journal("open", &place))?;
    check_pages(&mut connection, &place).await?;
    let contents = statements::read(&mut connection).await.map_err(StoreError::journal("read", &place))?;
    Witness::beside(&path).check(&path, contents.commits)?;
    Ok(contents)
}

/// A file whose pages do not fit together is not read: what it would give is anybody's guess.
async fn check_pages(connection: &mut SqliteConnection, place: &str) -> Result<(), StoreError> {
    let rows = sqlx::query("PRAGMA integrity_check").fetch_all(connection).await;
    let rows = rows.map_err(StoreError::journal("check", place))?;
    let found: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
    if found == ["ok"] {
        return Ok(());
    }
    let (expected, found) = ("pages that fit together".to_owned(), found.join("; "));
    Err(StoreError::JournalDamaged { place: place.to_owned(), expected, found })
}

impl MetadataStore for SqliteMetadata {
    fn place(&self) -> &str {
        &self.place
    }

    fn read(&mut self) -> BoxFuture<'_, Result<Contents, StoreError>> {
        async {
            let read = statements::read(&mut self.connection).await;
            let contents = read.map_err(StoreError::journal("read", &self.place))?;
            self.witness.check(&self.path, contents.commits)?;
            Ok(contents)
        }
        .boxed()
    }

    fn write<'a>(&'a mut self, appends: &'a [Append]) -> BoxFuture<'a, Result<u64, StoreError>> {
        async {
            let written = statements::write(&mut self.connection, (self.epoch, 0), appends).await;
            self.wrote(written)
        }
        .boxed()
    }

    fn remove<'a>(&'a mut self, job: &'a JobName) -> BoxFuture<'a, Result<u64, StoreError>> {
        async {
            let removed = statements::remove(&mut self.connection, (self.epoch, 0), job.as_str()).await;
            self.wrote(removed)
        }
        .boxed()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        async {
            if let Err(error) = self.connection.close().await {
                tracing::warn!(%error, "the journal was not closed cleanly; the next start puts it right");
            }
        }
        .boxed()
    }
}
