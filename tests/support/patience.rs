use std::{pin::pin, time::Duration};

use anyhow::{Result, bail};
use tokio::time::{MissedTickBehavior, interval};

/// How long a test waits for something that should come at once. Only a test that fails waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for `signal`, which tells `what`.
///
/// # Panics
/// When it does not come within [`PATIENCE`].
pub async fn within<F: Future>(what: &str, signal: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, signal).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// The same for programs, which say so. Seconds are counted one by one: a machine that sleeps loses no patience.
pub(crate) async fn in_time<F: Future>(what: &str, signal: F) -> Result<F::Output> {
    let (mut signal, mut seconds) = (pin!(signal), interval(Duration::from_secs(1)));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once.
    for _ in 0..=PATIENCE.as_secs() {
        tokio::select! {
            biased;
            output = &mut signal => return Ok(output),
            _ = seconds.tick() => {}
        }
    }
    bail!("waited {PATIENCE:?} for {what}")
}
