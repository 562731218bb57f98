use std::fs;

use federated_core::ids::{ParticipantName, RoundNumber};

use super::*;
use crate::store::spool::conformance;

#[test]
fn files_keep_the_laws() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check(|| Box::new(LocalSpool::open(folder.path().join("a/b")).unwrap()));
}

fn task(round: u32) -> TaskId {
    TaskId { job: "job".parse().unwrap(), round: RoundNumber::new(round).unwrap(), attempt: 1 }
}

fn begin(spool: &LocalSpool, round: u32, name: &str, content: &[u8]) -> Box<dyn SpoolWriter> {
    let (task, participant): (_, ParticipantName) = (task(round), name.parse().unwrap());
    let key = UploadKey { task: &task, participant: &participant, content: Digest::of(content) };
    spool.resume(key, 0).unwrap()
}

fn finish(spool: &LocalSpool, round: u32, name: &str, content: &[u8]) {
    let mut writer = begin(spool, round, name, content);
    writer.write(content).unwrap();
    writer.finish().unwrap();
}

fn read(spool: &LocalSpool, round: u32, name: &str, content: &[u8]) -> Result<Vec<u8>, StoreError> {
    let (task, participant): (_, ParticipantName) = (task(round), name.parse().unwrap());
    let key = UploadKey { task: &task, participant: &participant, content: Digest::of(content) };
    let update = spool.open(key)?;
    let mut bytes = vec![0; usize::try_from(update.bytes()).unwrap()];
    update.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn spares(root: &Path) -> usize {
    fs::read_dir(root.join("job/spare")).map_or(0, Iterator::count)
}

#[test]
fn the_files_of_a_round_are_written_over_in_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let spool = LocalSpool::open(folder.path()).unwrap();
    for name in ["a", "b", "c"] {
        finish(&spool, 1, name, b"a long update of the first round");
    }
    spool.remove_attempt(&task(1)).unwrap();
    assert_eq!(spares(folder.path()), 3);
    // Another process finds them too.
    let spool = LocalSpool::open(folder.path()).unwrap();
    for (name, content) in
        [("a", &b"short"[..]), ("d", b"an update that is longer than those of the first round")]
    {
        finish(&spool, 2, name, content);
        assert_eq!(read(&spool, 2, name, content).unwrap(), content);
    }
    assert_eq!(spares(folder.path()), 1);
    spool.remove_attempt(&task(2)).unwrap();
    assert_eq!(spares(folder.path()), 2, "no more than the round had");
    spool.remove_job(&"job".parse().unwrap()).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing outlives its job");
}

#[test]
fn an_upload_over_an_old_update_counts_only_what_came() {
    let folder = tempfile::tempdir().unwrap();
    let spool = LocalSpool::open(folder.path()).unwrap();
    // The same content twice: what is left of the first must not count as the second.
    let content = b"the very same content";
    finish(&spool, 1, "a", content);
    spool.remove_attempt(&task(1)).unwrap();
    let mut writer = begin(&spool, 2, "a", content);
    assert_eq!(writer.durable(), 0);
    writer.write(&content[..5]).unwrap();
    drop(writer);
    let (task, participant) = (task(2), "a".parse().unwrap());
    let key = UploadKey { task: &task, participant: &participant, content: Digest::of(content) };
    assert_eq!(LocalSpool::open(folder.path()).unwrap().durable(key).unwrap(), 5);
}

#[test]
fn a_late_upload_writes_into_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let spool = LocalSpool::open(folder.path()).unwrap();
    finish(&spool, 1, "a", b"in time");
    let mut late = begin(&spool, 1, "b", b"too late");
    late.write(b"too").unwrap();
    spool.remove_attempt(&task(1)).unwrap();
    for name in ["a", "b"] {
        finish(&spool, 2, name, b"the next round");
    }
    late.write(b" late").unwrap();
    assert!(late.finish().is_err(), "its round is over");
    for name in ["a", "b"] {
        assert_eq!(read(&spool, 2, name, b"the next round").unwrap(), b"the next round");
    }
}

#[test]
fn a_file_that_was_cut_short_has_less_than_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let spool = LocalSpool::open(folder.path()).unwrap();
    let content = b"cut me";
    finish(&spool, 1, "a", content);
    let path = folder.path().join("job/1-1/a.update");
    fs::File::options().write(true).open(&path).unwrap().set_len(Header::BYTES + 3).unwrap();
    assert_eq!(read(&spool, 1, "a", content).unwrap(), b"cut");
    fs::write(&path, b"x").unwrap();
    assert!(matches!(read(&spool, 1, "a", content), Err(StoreError::Damaged { .. })));
}

#[test]
fn an_upload_whose_file_was_emptied_under_it_is_not_taken_for_whole() {
    let folder = tempfile::tempdir().unwrap();
    let spool = LocalSpool::open(folder.path()).unwrap();
    let content = b"first and second";
    let mut writer = begin(&spool, 1, "a", content);
    writer.write(b"first").unwrap();
    let path = folder.path().join("job/1-1/a.part");
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    writer.write(b" and second").unwrap();
    assert!(matches!(writer.finish(), Err(StoreError::Damaged { .. })));
}

#[test]
fn nothing_stays_when_a_job_ends_while_its_last_round_is_put_away() {
    let folder = tempfile::tempdir().unwrap();
    let spool = LocalSpool::open(folder.path()).unwrap();
    for _ in 0..50 {
        for name in ["a", "b", "c", "d"] {
            finish(&spool, 1, name, b"the last round");
        }
        std::thread::scope(|scope| {
            scope.spawn(|| spool.remove_attempt(&task(1)).unwrap());
            scope.spawn(|| spool.remove_job(&"job".parse().unwrap()).unwrap());
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
