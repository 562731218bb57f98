//! The journal in a PostgreSQL database of its own, and the lease by which one of several coordinators writes to it.
//!
//! Whoever holds the lease writes. It is renewed with every transaction and, when nothing happens, a few times in its
//! length; it runs out when its holder is gone, by the database's clock, and the next coordinator takes it over. Each
//! holder has a number, its epoch, and every transaction checks it: a coordinator that was only asleep cannot write
//! over what its successor wrote.

use std::{str::FromStr, time::Duration};

use federated_core::ids::JobName;
use futures::{FutureExt, future::BoxFuture};
use sqlx::{
    ConnectOptions, Connection,
    postgres::{PgConnectOptions, PgConnection},
};

use super::{Append, Contents, MetadataStore, sql};
use crate::store::StoreError;

/// How often, in the length of a lease, a coordinator that stands by asks whether it is free.
const QUESTIONS: u32 = 4;
/// How long the database may take to answer, beyond the length of a lease.
const PATIENCE: Duration = Duration::from_secs(10);

mod statements {
    super::sql::statements!(sqlx::Postgres, "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)");

    async fn begin_to_read(
        connection: &mut Connection,
    ) -> sqlx::Result<sqlx::Transaction<'_, sqlx::Postgres>> {
        connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    /// Takes the lease if it has run out; gives the new holder's epoch.
    pub(super) async fn take_over(
        connection: &mut Connection,
        holder: &str,
        lease: i64,
    ) -> sqlx::Result<Option<i64>> {
        let statement = "UPDATE coordinator SET epoch = epoch + 1, holder = $1, \
             expires = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + $2 \
             WHERE id = 1 AND expires <= CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) \
             RETURNING epoch";
        query_scalar(statement).bind(holder).bind(lease).fetch_optional(connection).await
    }

    pub(super) async fn give_back(connection: &mut Connection, epoch: i64) -> sqlx::Result<()> {
        let statement = "UPDATE coordinator SET expires = 0 WHERE id = 1 AND epoch = $1";
        query(statement).bind(epoch).execute(connection).await.map(drop)
    }

    pub(super) async fn holder(connection: &mut Connection) -> sqlx::Result<String> {
        query_scalar("SELECT holder FROM coordinator WHERE id = 1").fetch_one(connection).await
    }
}

/// The journal in a database.
#[derive(Debug)]
pub struct PostgresMetadata {
    options: PgConnectOptions,
    place: String,
    /// `None` after a failure, until the next try.
    connection: Option<PgConnection>,
    epoch: i64,
    lease: Duration,
}

impl PostgresMetadata {
    /// Connects to the database at `url`, prepares it, and waits until no other coordinator holds the lease, which
    /// then is this one's. `holder` tells people which coordinator it is.
    ///
    /// # Errors
    /// [`StoreError::Journal`] when the database cannot be used, [`StoreError::JournalNewer`] when a later version of
    /// the software prepared it.
    pub async fn open(url: &str, holder: &str, lease: Duration) -> Result<Self, StoreError> {
        let place = without_password(url);
        let options = PgConnectOptions::from_str(url).map_err(StoreError::journal("understand", &place))?;
        let options = options.application_name("federated-coordinator").disable_statement_logging();
        let mut store = Self { options, place, connection: None, epoch: 0, lease };
        let mut connection = store.connect().await?;
        sql::prepare(&mut connection, &store.place).await?;
        store.connection = Some(connection);
        store.take_over(holder).await?;
        Ok(store)
    }

    async fn connect(&self) -> Result<PgConnection, StoreError> {
        let connect = async {
            let mut connection = self.options.connect().await?;
            // A receipt speaks of something durable, whatever the database's own default is.
            sqlx::query("SET synchronous_commit = on").execute(&mut connection).await?;
            Ok(connection)
        };
        let connected = tokio::time::timeout(PATIENCE, connect).await.unwrap_or_else(|_| Err(silent()));
        connected.map_err(StoreError::journal("connect to", &self.place))
    }

    async fn take_over(&mut self, holder: &str) -> Result<(), StoreError> {
        let mut waits = false;
        loop {
            let (holder, lease) = (holder.to_owned(), millis(self.lease));
            let taken = self.with(async move |connection| {
                let taken = statements::take_over(connection, &holder, lease).await?;
                Ok((taken, statements::holder(connection).await?))
            });
            match taken.await {
                Ok((Some(epoch), _)) => {
                    tracing::info!(epoch, place = self.place, "this coordinator holds the lease");
                    self.epoch = epoch;
                    return Ok(());
                }
                Ok((None, holder)) if !waits => {
                    tracing::info!(%holder, place = self.place, "stands by: another coordinator holds the lease");
                    waits = true;
                }
                Ok((None, _)) => {}
                // Whoever stands by outlives a database that is restarted.
                Err(error) if waits => tracing::warn!(%error, "cannot ask for the lease; tries again"),
                Err(error) => return Err(StoreError::journal("write to", &self.place)(error)),
            }
            tokio::time::sleep(self.lease / QUESTIONS).await;
        }
    }

    /// Does something with a connection that works, and forgets it when it does not.
    async fn with<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match self.connect().await {
                Ok(connection) => connection,
                Err(StoreError::Journal { source, .. }) => return Err(*source),
                Err(error) => return Err(sqlx::Error::Io(std::io::Error::other(error))),
            },
        };
        let patience = PATIENCE + self.lease;
        let done =
            tokio::time::timeout(patience, work(&mut connection)).await.unwrap_or_else(|_| Err(silent()));
        if done.is_ok() {
            self.connection = Some(connection);
        }
        done
    }

    fn fence(&self) -> (i64, i64) {
        (self.epoch, millis(self.lease))
    }

    fn wrote(&self, written: sqlx::Result<Option<u64>>) -> Result<u64, StoreError> {
        let commits = written.map_err(StoreError::journal("write to", &self.place))?;
        commits.ok_or_else(|| StoreError::LeaseLost { place: self.place.clone() })
    }
}

/// Reads a journal that a coordinator may be writing to, and changes nothing.
pub(crate) async fn read(url: &str) -> Result<Contents, StoreError> {
    let place = without_password(url);
    let options = PgConnectOptions::from_str(url).map_err(StoreError::journal("understand", &place))?;
    let connection = options.disable_statement_logging().connect().await;
    let mut connection = connection.map_err(StoreError::journal("connect to", &place))?;
    statements::read(&mut connection).await.map_err(StoreError::journal("read", &place))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database does not answer"))
}

/// An address for logs and errors.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{}", rest.split_once('?').map_or(rest, |(place, _)| place))
}

impl MetadataStore for PostgresMetadata {
    fn place(&self) -> &str {
        &self.place
    }

    fn renew_every(&self) -> Option<Duration> {
        Some(self.lease / QUESTIONS)
    }

    fn read(&mut self) -> BoxFuture<'_, Result<Contents, StoreError>> {
        async {
            let contents = self.with(async |connection| statements::read(connection).await).await;
            contents.map_err(StoreError::journal("read", &self.place))
        }
        .boxed()
    }

    fn write<'a>(&'a mut self, appends: &'a [Append]) -> BoxFuture<'a, Result<u64, StoreError>> {
        async {
            let fence = self.fence();
            let work =
                async |connection: &mut PgConnection| statements::write(connection, fence, appends).await;
            let written = self.with(work).await;
            self.wrote(written)
        }
        .boxed()
    }

    fn remove<'a>(&'a mut self, job: &'a JobName) -> BoxFuture<'a, Result<u64, StoreError>> {
        async {
            let fence = self.fence();
            let work = async |connection: &mut PgConnection| {
                statements::remove(connection, fence, job.as_str()).await
            };
            let removed = self.with(work).await;
            self.wrote(removed)
        }
        .boxed()
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        async move {
            let epoch = self.epoch;
            let work = async |connection: &mut PgConnection| statements::give_back(connection, epoch).await;
            if let Err(error) = self.with(work).await {
                tracing::warn!(%error, "the lease was not given back; it runs out by itself");
            }
            if let Some(connection) = self.connection.take() {
                // The server notices that it is gone anyway.
                let _ = connection.close().await;
            }
        }
        .boxed()
    }
}
