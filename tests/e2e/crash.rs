//! The coordinator and participants are killed at random moments, as processes of their own. The program `crash-test` does
//! the same more often, with a larger model.

use anyhow::Result;
use federated_tests::{
    crash::CrashTest,
    processes::{Program, Serving},
};

#[tokio::test]
async fn whoever_is_killed_and_whenever_nothing_is_lost_and_the_model_is_the_same() -> Result<()> {
    let test = CrashTest {
        program: Program::at(env!("CARGO_BIN_EXE_crash-test")),
        dir: None,
        serving: Serving::default(),
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
