//! The journal in PostgreSQL: the laws of every store, and the lease.

use std::time::Duration;

use anyhow::Result;
use federated_server::store::{
    StoreError,
    journal::{MetadataStore, conformance, postgres::PostgresMetadata},
};
use federated_tests::{Postgres, within};

const LEASE: Duration = Duration::from_millis(500);

async fn server() -> Result<Option<Postgres>> {
    let server = Postgres::start().await?;
    if server.is_none() {
        eprintln!("skipped: PostgreSQL is not installed");
    }
    Ok(server)
}

async fn open(url: &str, holder: &str) -> Box<dyn MetadataStore> {
    let opened = within("the lease", PostgresMetadata::open(url, holder, LEASE)).await;
    Box::new(opened.expect("the database serves"))
}

#[tokio::test]
async fn a_postgresql_journal_keeps_the_laws_of_every_store() -> Result<()> {
    let Some(server) = server().await? else { return Ok(()) };
    let url = server.url();
    conformance::check(open(&url, "first").await, async |store| {
        drop(store);
        open(&url, "next").await
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_coordinator_whose_lease_was_taken_over_writes_nothing_more() -> Result<()> {
    let Some(server) = server().await? else { return Ok(()) };
    let mut asleep = open(&server.url(), "asleep").await;
    let before = asleep.write(&[]).await?;
    // It gives no sign of life: the lease runs out, and the next one takes it over.
    let mut awake = open(&server.url(), "awake").await;
    let error = asleep.write(&[]).await.unwrap_err();
    assert!(matches!(error, StoreError::LeaseLost { .. }), "{error}");
    assert_eq!(awake.write(&[]).await?, before + 1, "what it tried to write is not there");
    Ok(())
}

#[tokio::test]
async fn a_coordinator_that_stops_gives_its_lease_back() -> Result<()> {
    let Some(server) = server().await? else { return Ok(()) };
    let long = Duration::from_secs(600);
    let stopped = Box::new(PostgresMetadata::open(&server.url(), "stopped", long).await?);
    (stopped as Box<dyn MetadataStore>).close().await;
    open(&server.url(), "next").await.write(&[]).await?;
    Ok(())
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() -> Result<()> {
    let url = "postgres://me:secret@127.0.0.1:1/federated";
    let error = PostgresMetadata::open(url, "me", LEASE).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1/federated") && !text.contains("secret"), "{text}");
    Ok(())
}
