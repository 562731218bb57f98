//! What every metadata store must keep to, for whoever writes another. Each law panics with what it found.

use federated_core::ids::JobName;

use super::{Append, Contents, Head, MetadataStore, StoredLog};

/// Checks all laws on a store that is empty. `reopen` gives the same store as another process would find it after the
/// one that it is given was dropped without being closed.
///
/// # Panics
/// When a law is broken.
#[expect(clippy::unwrap_used, reason = "a test: an error is a broken law")]
pub async fn check(
    mut store: Box<dyn MetadataStore>,
    reopen: impl AsyncFn(Box<dyn MetadataStore>) -> Box<dyn MetadataStore>,
) {
    assert!(store.read().await.unwrap().logs.is_empty(), "the store that is checked must be empty");
    let first = append("a", 0, &[b"one", b"two"]);
    let commits = store.write(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(store.read().await.unwrap(), contents(commits, &[("a", &[b"one", b"two"])]));

    // The same again, as after an error, is there once.
    let commits = store.write(std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(store.read().await.unwrap(), contents(commits, &[("a", &[b"one", b"two"])]));

    // Logs grow beside each other, and are read in the order of their names and numbers.
    let commits = store.write(&[append("c", 0, &[b""]), append("a", 2, &[b"three"])]).await.unwrap();
    let both: [(&str, &[&[u8]]); 2] = [("a", &[b"one", b"two", b"three"]), ("c", &[b""])];
    assert_eq!(store.read().await.unwrap(), contents(commits, &both));

    // What was written outlives whoever wrote it.
    store = reopen(store).await;
    assert_eq!(store.read().await.unwrap(), contents(commits, &both));

    // Nothing to write is a sign of life, and counts.
    let renewed = store.write(&[]).await.unwrap();
    assert!(renewed > commits);

    // Many entries at once, and large ones.
    let large: Vec<Vec<u8>> = (0..2_500_u32).map(|number| number.to_le_bytes().repeat(64)).collect();
    let bodies: Vec<&[u8]> = large.iter().map(Vec::as_slice).collect();
    let commits = store.write(&[append("b", 0, &bodies)]).await.unwrap();
    let all: [(&str, &[&[u8]]); 3] = [both[0], ("b", &bodies), both[1]];
    assert_eq!(store.read().await.unwrap(), contents(commits, &all));

    // A log that is removed is gone, and its name is free again.
    let gone: JobName = "b".parse().unwrap();
    store.remove(&gone).await.unwrap();
    let commits = store.remove(&gone).await.unwrap();
    assert_eq!(store.read().await.unwrap(), contents(commits, &both));
    store = reopen(store).await;
    let commits = store.write(&[append("b", 0, &[b"new"])]).await.unwrap();
    let all: [(&str, &[&[u8]]); 3] = [both[0], ("b", &[b"new"]), both[1]];
    assert_eq!(store.read().await.unwrap(), contents(commits, &all));
    store.close().await;
}

#[expect(clippy::unwrap_used, reason = "a test: the names are right")]
fn append(job: &str, first: u64, bodies: &[&[u8]]) -> Append {
    let bodies: Vec<Vec<u8>> = bodies.iter().map(|body| body.to_vec()).collect();
    let length = first + bodies.len() as u64;
    Append { job: job.parse().unwrap(), first, bodies, head: head(length) }
}

fn head(length: u64) -> Head {
    Head { length, link: length.to_le_bytes().repeat(4) }
}

fn contents(commits: u64, logs: &[(&str, &[&[u8]])]) -> Contents {
    let log = |(job, bodies): &(&str, &[&[u8]])| StoredLog {
        job: (*job).to_owned(),
        head: Some(head(bodies.len() as u64)),
        entries: (0..).zip(bodies.iter().map(|body| body.to_vec())).collect(),
    };
    Contents { commits, logs: logs.iter().map(log).collect() }
}
