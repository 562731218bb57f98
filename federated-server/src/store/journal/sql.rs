//! The statements that SQLite and PostgreSQL share. A macro, because the two have different types for everything: a
//! function that is generic over both would say more about types than about statements.

use std::collections::BTreeMap;

use futures::{FutureExt, future::BoxFuture};
use sqlx::{
    SqlSafeStr,
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
};

use super::{Contents, Head, StoredLog};
use crate::store::StoreError;

/// How many entries one statement adds: databases have a limit for its values, and each entry has three.
pub(super) const ENTRIES: usize = 1_000;

/// Brings the schema to this version.
pub(super) fn prepare<'a, C: Migrate + Send>(
    connection: &'a mut C,
    place: &'a str,
) -> BoxFuture<'a, Result<(), StoreError>> {
    async move {
        let first = include_str!("migrations/0001_journal.sql").into_sql_str();
        let first = Migration::new(1, "journal".into(), MigrationType::Simple, first, false);
        let prepared = Migrator::with_migrations(vec![first]).run_direct(None, connection, false).await;
        prepared.map_err(|error| schema(place, error))
    }
    .boxed()
}

/// Why the schema is not what this version makes of it.
fn schema(place: &str, error: MigrateError) -> StoreError {
    let place = place.to_owned();
    match error {
        MigrateError::VersionMissing(found) => StoreError::JournalNewer { place, found },
        MigrateError::VersionMismatch(version) => {
            let expected = format!("schema version {version} as this software makes it");
            StoreError::JournalDamaged { place, expected, found: "another one of that number".to_owned() }
        }
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            StoreError::Journal { action: "prepare", place, source: Box::new(source) }
        }
        other => {
            let (expected, found) = ("a schema of this software".to_owned(), other.to_string());
            StoreError::JournalDamaged { place, expected, found }
        }
    }
}

/// A row of `logs`.
pub(super) type LogRow = (String, i64, Vec<u8>);
/// A row of `entries`.
pub(super) type EntryRow = (String, i64, Vec<u8>);

/// A number that a signed column holds.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from a signed column. Negative ones are damage; so large, they fit nothing either.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Puts the rows of both tables together.
pub(super) fn contents(commits: i64, logs: Vec<LogRow>, entries: Vec<EntryRow>) -> Contents {
    let mut found: BTreeMap<String, StoredLog> = BTreeMap::new();
    let log = |job: String| StoredLog { job, head: None, entries: Vec::new() };
    for (job, length, link) in logs {
        let head = Head { length: unsigned(length), link };
        found.entry(job.clone()).or_insert_with(|| log(job)).head = Some(head);
    }
    for (job, number, body) in entries {
        found.entry(job.clone()).or_insert_with(|| log(job)).entries.push((unsigned(number), body));
    }
    Contents { commits: unsigned(commits), logs: found.into_values().collect() }
}

/// Functions over a connection of one database; `$now` is its clock in milliseconds.
macro_rules! statements {
    ($database:ty, $now:literal) => {
        use sqlx::{Connection as _, QueryBuilder, query, query_as, query_scalar};

        type Connection = <$database as sqlx::Database>::Connection;

        pub(super) async fn read(
            connection: &mut Connection,
        ) -> sqlx::Result<$crate::store::journal::Contents> {
            // Of one moment, also while a coordinator writes.
            let mut transaction = begin_to_read(connection).await?;
            let commits =
                query_scalar("SELECT commits FROM coordinator").fetch_one(&mut *transaction).await?;
            let logs = query_as("SELECT job, length, link FROM logs").fetch_all(&mut *transaction).await?;
            let entries = query_as("SELECT job, number, body FROM entries ORDER BY job, number");
            let entries = entries.fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok($crate::store::journal::sql::contents(commits, logs, entries))
        }

        /// Writes for the holder of this epoch; `None` when there is a newer one.
        pub(super) async fn write(
            connection: &mut Connection,
            (epoch, lease): (i64, i64),
            appends: &[$crate::store::journal::Append],
        ) -> sqlx::Result<Option<u64>> {
            let mut transaction = connection.begin().await?;
            let Some(commits) = count(&mut transaction, (epoch, lease)).await? else { return Ok(None) };
            for append in appends {
                insert(&mut transaction, append).await?;
            }
            transaction.commit().await?;
            Ok(Some(commits))
        }

        pub(super) async fn remove(
            connection: &mut Connection,
            (epoch, lease): (i64, i64),
            job: &str,
        ) -> sqlx::Result<Option<u64>> {
            let mut transaction = connection.begin().await?;
            let Some(commits) = count(&mut transaction, (epoch, lease)).await? else { return Ok(None) };
            query("DELETE FROM logs WHERE job = $1").bind(job).execute(&mut *transaction).await?;
            query("DELETE FROM entries WHERE job = $1").bind(job).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(Some(commits))
        }

        async fn count(
            connection: &mut Connection,
            (epoch, lease): (i64, i64),
        ) -> sqlx::Result<Option<u64>> {
            let statement = concat!(
                "UPDATE coordinator SET commits = commits + 1, expires = ",
                $now,
                " + $2 WHERE id = 1 AND epoch = $1 RETURNING commits"
            );
            let commits = query_scalar(statement).bind(epoch).bind(lease).fetch_optional(connection).await?;
            Ok(commits.map($crate::store::journal::sql::unsigned))
        }

        async fn insert(
            connection: &mut Connection,
            append: &$crate::store::journal::Append,
        ) -> sqlx::Result<()> {
            use $crate::store::journal::sql::{ENTRIES, signed};
            let job = append.job.as_str();
            let mut first = append.first;
            for bodies in append.bodies.chunks(ENTRIES) {
                let mut statement: QueryBuilder<$database> =
                    QueryBuilder::new("INSERT INTO entries (job, number, body) ");
                let numbered = (first..).zip(bodies);
                statement.push_values(numbered, |mut row, (number, body)| {
                    row.push_bind(job).push_bind(signed(number)).push_bind(body.as_slice());
                });
                // After a failure it is not known what was written: the same may come again.
                statement.push(" ON CONFLICT (job, number) DO NOTHING");
                statement.build().execute(&mut *connection).await?;
                first += bodies.len() as u64;
            }
            let statement = "INSERT INTO logs (job, length, link) VALUES ($1, $2, $3) \
                             ON CONFLICT (job) DO UPDATE SET length = excluded.length, link = excluded.link";
            let head = query(statement).bind(job).bind(signed(append.head.length));
            head.bind(append.head.link.as_slice()).execute(connection).await?;
            Ok(())
        }
    };
}
pub(super) use statements;
