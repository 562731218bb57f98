use std::time::Duration;

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
