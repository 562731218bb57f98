//! The coordinator and participants are killed at random moments, as processes of their own. The program `crash-test` does
//! the same more often, with a larger model.

use std::time::Duration;

use anyhow::Result;
use federated_tests::{
    Postgres,
    crash::CrashTest,
    failover::Failover,
    processes::{Program, Serving},
};

#[tokio::test]
async fn whoever_is_killed_and_whenever_nothing_is_lost_and_the_model_is_the_same() -> Result<()> {
    kill_and_compare(Serving::default()).await
}

#[tokio::test]
async fn the_same_holds_with_the_journal_in_postgresql() -> Result<()> {
    let Some(server) = Postgres::start().await? else {
        eprintln!("skipped: PostgreSQL is not installed");
        return Ok(());
    };
    kill_and_compare(Serving::default().journal(Some(server.url()))).await
}

#[tokio::test]
async fn a_coordinator_that_stands_by_commits_the_round_of_one_that_is_killed() -> Result<()> {
    let Some(server) = Postgres::start().await? else {
        eprintln!("skipped: PostgreSQL is not installed");
        return Ok(());
    };
    let (program, lease) = (Program::at(env!("CARGO_BIN_EXE_crash-test")), Duration::from_millis(500));
    let seen = Failover { program, journal: server.url(), lease }.run().await?;
    assert!(seen.elapsed >= lease / 2, "the lease of the first one had to run out: {seen}");
    assert_eq!(seen.status.history[0].attempt, 1, "{seen}");
    Ok(())
}

async fn kill_and_compare(serving: Serving) -> Result<()> {
    let test = CrashTest {
        program: Program::at(env!("CARGO_BIN_EXE_crash-test")),
        dir: None,
        serving,
        kills: 6,
        seed: 4,
        rounds: 5,
        entries: 100_000,
        work: 10,
    };
    let verdict = test.run().await?;
    assert!(verdict.is_good() && verdict.kills == 6, "{verdict}: {verdict:#?}");
    assert!(verdict.refusals.is_empty(), "{:?}", verdict.refusals);
    Ok(())
}
