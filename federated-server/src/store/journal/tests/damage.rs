//! A state folder as a killed coordinator leaves it, and then damaged: it recovers or is refused, and never gives
//! other jobs in silence.

use std::{fs, path::Path, sync::Arc};

use federated_core::job::Job;
use tempfile::TempDir;

use super::{entries, open, write};

/// The files of a journal.
const FILES: [&str; 3] = ["journal.sqlite", "journal.sqlite-wal", "journal.witness"];

/// What a killed coordinator leaves: the last transactions are in the write-ahead log only. And the jobs in it.
async fn killed() -> (TempDir, Vec<Job>) {
    let (folder, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut journal, _) = open(folder.path()).await.unwrap();
    write(&mut journal, "a", entries("a", 40)).await;
    journal.close().await;
    let (mut journal, _) = open(folder.path()).await.unwrap();
    write(&mut journal, "b", entries("b", 3)).await;
    copy(folder.path(), killed.path());
    journal.close().await;
    let (journal, jobs) = open(folder.path()).await.unwrap();
    journal.close().await;
    (killed, jobs)
}

fn copy(from: &Path, to: &Path) {
    for file in FILES {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

/// Opens copies of a folder in which each of these files has other content, on all processors.
async fn open_damaged(folder: TempDir, jobs: Vec<Job>, damaged: Vec<(&'static str, Vec<u8>)>) -> Outcomes {
    const TASKS: usize = 4;
    let (folder, jobs, damaged) = (Arc::new(folder), Arc::new(jobs), Arc::new(damaged));
    let tasks = (0..TASKS).map(|task| {
        let (folder, jobs, damaged) = (Arc::clone(&folder), Arc::clone(&jobs), Arc::clone(&damaged));
        tokio::spawn(async move {
            let (mut outcomes, scratch) = (Outcomes::default(), tempfile::tempdir().unwrap());
            for (index, (file, content)) in damaged.iter().enumerate().skip(task).step_by(TASKS) {
                let state = scratch.path().join(index.to_string());
                fs::create_dir(&state).unwrap();
                copy(folder.path(), &state);
                fs::write(state.join(file), content).unwrap();
                outcomes.open(&state, &jobs).await;
                fs::remove_dir_all(state).unwrap();
            }
            outcomes
        })
    });
    let mut all = Outcomes::default();
    for task in tasks.collect::<Vec<_>>() {
        let Outcomes { same, refused } = task.await.unwrap();
        all = Outcomes { same: all.same + same, refused: all.refused + refused };
    }
    all
}

/// What became of damaged folders.
#[derive(Debug, Default)]
struct Outcomes {
    same: usize,
    refused: usize,
}

impl Outcomes {
    async fn open(&mut self, state: &Path, expected: &[Job]) {
        match open(state).await {
            Ok((journal, jobs)) => {
                assert_eq!(jobs, expected, "a silent change");
                self.same += 1;
                journal.close().await;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                self.refused += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_cut_at_any_of_its_last_bytes_recovers_or_is_refused() {
    const LAST: usize = 4_096;
    let (folder, jobs) = killed().await;
    let mut damaged = Vec::new();
    for file in ["journal.sqlite", "journal.sqlite-wal"] {
        let content = fs::read(folder.path().join(file)).unwrap();
        assert!(content.len() > LAST, "{file} has {} bytes", content.len());
        let cuts = content.len() - LAST..content.len();
        damaged.extend(cuts.map(|end| (file, content[..end].to_vec())));
    }
    let outcomes = open_damaged(folder, jobs, damaged).await;
    assert_eq!(outcomes.same + outcomes.refused, 2 * LAST);
    assert!(outcomes.refused > 0, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_with_any_one_byte_changed_recovers_or_is_refused() {
    const FLIPS: u64 = 1_000;
    let (folder, jobs) = killed().await;
    let read = |file| fs::read(folder.path().join(file)).unwrap();
    let contents: Vec<(&str, Vec<u8>)> = FILES.into_iter().map(|file| (file, read(file))).collect();
    let total: usize = contents.iter().map(|(_, content)| content.len()).sum();
    let flip = |index: u64| {
        // Positions and bits from a digest: the same thousand in every run.
        let drawn = federated_core::ids::Digest::of(&index.to_le_bytes());
        let (place, bit) = drawn.as_bytes().split_first_chunk::<8>().unwrap();
        let mut place = usize::try_from(u64::from_le_bytes(*place) % total as u64).unwrap();
        let hit = contents.iter().find(|(_, content)| {
            let hit = place < content.len();
            place -= if hit { 0 } else { content.len() };
            hit
        });
        let (file, mut content) = hit.unwrap().clone();
        content[place] ^= 1 << (bit[0] % 8);
        (file, content)
    };
    let damaged = (0..FLIPS).map(flip).collect();
    let outcomes = open_damaged(folder, jobs, damaged).await;
    assert_eq!(outcomes.same + outcomes.refused, 1_000);
    assert!(outcomes.refused > 0, "{outcomes:?}");
}
