//! The coordinator and participants are killed at random moments, as processes of their own. The program `crash-test` does
//! the same more often, with a larger model.

use anyhow::Result;
use federated_tests::{
    Postgres,
    crash::CrashTest,
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
