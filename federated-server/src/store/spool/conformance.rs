//! The laws of a [`Spool`], for every implementation: [`check`] holds one against them.

#![expect(clippy::unwrap_used, reason = "a broken law is a panic, as in any test")]

use std::thread;

use federated_core::{
    fault::Fault,
    ids::{Digest, ParticipantName, RoundNumber, TaskId},
};
use federated_proto::WireError;

use super::{Spool, UploadKey};
use crate::store::StoreError;

/// Checks that a spool keeps the laws. `open` opens the same place each time, as a coordinator that starts again does;
/// the place must be empty at first.
///
/// Contents are 61 bytes: an implementation that keeps bytes in pieces is best checked with pieces of a few bytes.
///
/// # Panics
/// When a law is broken.
///
/// # Examples
/// ```
/// use federated_server::store::spool::{LocalSpool, conformance};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = std::env::temp_dir().join(format!("spool-{}", std::process::id()));
/// conformance::check(|| Box::new(LocalSpool::open(&folder).expect("the folder can be made")));
/// std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
pub fn check(open: impl Fn() -> Box<dyn Spool>) {
    let open = &open;
    an_upload_goes_on_from_what_is_durable(open);
    an_offset_that_is_not_durable_is_refused(open);
    another_content_starts_afresh(open);
    an_upload_can_begin_again(open);
    participants_attempts_and_jobs_do_not_mix(open);
    finishing_is_durable_and_can_be_repeated(open);
    a_finished_update_is_read_by_many(open);
    what_is_discarded_is_gone(open);
    removal_takes_what_it_names(open);
}

type Open<'a> = &'a dyn Fn() -> Box<dyn Spool>;

const LENGTH: usize = 61;

/// Bytes that differ for each seed and at each place.
fn content(seed: u8) -> Vec<u8> {
    (0..LENGTH).map(|n| seed ^ u8::try_from(n * 37 % 251).unwrap()).collect()
}

/// One upload, owned.
#[derive(Clone)]
struct Upload {
    task: TaskId,
    participant: ParticipantName,
    bytes: Vec<u8>,
}

impl Upload {
    fn new(job: &str, seed: u8) -> Self {
        let task = TaskId { job: job.parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 };
        Self { task, participant: "site".parse().unwrap(), bytes: content(seed) }
    }

    fn key(&self) -> UploadKey<'_> {
        UploadKey { task: &self.task, participant: &self.participant, content: Digest::of(&self.bytes) }
    }

    fn durable(&self, spool: &dyn Spool) -> usize {
        usize::try_from(spool.durable(self.key()).unwrap()).unwrap()
    }

    /// Writes up to `end` and drops the writer, as a crash does; says what the writer promised.
    fn write_and_crash(&self, spool: &dyn Spool, end: usize) -> usize {
        let mut writer = spool.resume(self.key(), 0).unwrap();
        for piece in self.bytes[..end].chunks(4) {
            writer.write(piece).unwrap();
        }
        usize::try_from(writer.durable()).unwrap()
    }

    fn finish(&self, spool: &dyn Spool) {
        let durable = self.durable(spool);
        let mut writer = spool.resume(self.key(), durable as u64).unwrap();
        let mut before = vec![0; durable];
        writer.read_back(&mut before, 0).unwrap();
        assert_eq!(before, self.bytes[..durable], "what came before is read back as it came");
        writer.write(&self.bytes[durable..]).unwrap();
        writer.finish().unwrap();
    }

    fn assert_finished(&self, spool: &dyn Spool) {
        let update = spool.open(self.key()).unwrap();
        let mut read = vec![0; LENGTH];
        update.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read, self.bytes);
        assert_eq!(update.bytes(), LENGTH as u64);
        assert_eq!(self.durable(spool), LENGTH, "all of a finished update is durable");
    }

    fn assert_unfinished(&self, spool: &dyn Spool) {
        assert!(spool.open(self.key()).is_err(), "what is not finished cannot be opened");
    }

    fn assert_gone(&self, spool: &dyn Spool) {
        self.assert_unfinished(spool);
        assert_eq!(self.durable(spool), 0);
    }
}

fn an_upload_goes_on_from_what_is_durable(open: Open<'_>) {
    for end in 0..=LENGTH {
        let upload = Upload::new(&format!("resume-{end}"), 1);
        let promised = upload.write_and_crash(&*open(), end);
        let spool = open();
        let durable = upload.durable(&*spool);
        assert!(promised <= durable && durable <= end, "{promised} <= {durable} <= {end}");
        upload.assert_unfinished(&*spool);
        // A second crash, after half of the rest.
        let mut writer = spool.resume(upload.key(), durable as u64).unwrap();
        writer.write(&upload.bytes[durable..usize::midpoint(durable, LENGTH)]).unwrap();
        let promised = usize::try_from(writer.durable()).unwrap();
        drop(writer);
        let spool = open();
        assert!(upload.durable(&*spool) >= promised.max(durable), "nothing durable is lost");
        upload.finish(&*spool);
        upload.assert_finished(&*open());
    }
}

fn an_offset_that_is_not_durable_is_refused(open: Open<'_>) {
    let upload = Upload::new("offsets", 2);
    let spool = open();
    upload.write_and_crash(&*spool, 40);
    let durable = upload.durable(&*spool);
    assert!(durable > 1, "40 bytes are more than a piece");
    for offset in [1, durable - 1, durable + 1, LENGTH, usize::MAX].map(|offset| offset as u64) {
        let error = spool.resume(upload.key(), offset).unwrap_err();
        let expected = WireError::ChunkOffset { expected: durable as u64, found: offset };
        assert!(matches!(&error, StoreError::Content(found) if *found == expected), "{error}");
        assert_eq!(error.fault(), Fault::Peer);
    }
    upload.finish(&*spool);
    for offset in [1, LENGTH - 1, LENGTH + 1] {
        assert!(spool.resume(upload.key(), offset as u64).is_err());
    }
    upload.assert_finished(&*spool);
}

fn another_content_starts_afresh(open: Open<'_>) {
    let (first, second) = (Upload::new("contents", 3), Upload::new("contents", 4));
    let spool = open();
    first.write_and_crash(&*spool, 40);
    assert_eq!(second.durable(&*spool), 0);
    second.write_and_crash(&*spool, 50);
    first.assert_gone(&*open());
    second.finish(&*spool);
    second.assert_finished(&*open());
    // What is finished stays until something else is.
    first.write_and_crash(&*spool, 40);
    second.assert_finished(&*open());
    first.finish(&*spool);
    first.assert_finished(&*open());
    second.assert_gone(&*open());
}

fn an_upload_can_begin_again(open: Open<'_>) {
    let upload = Upload::new("again", 5);
    let spool = open();
    upload.write_and_crash(&*spool, 50);
    let promised = upload.write_and_crash(&*spool, 20);
    let durable = upload.durable(&*spool);
    assert!(promised <= durable && durable <= 20, "nothing of the first beginning stays");
    upload.finish(&*spool);
    upload.assert_finished(&*spool);
    // Also after it was finished.
    upload.write_and_crash(&*spool, 20);
    upload.finish(&*spool);
    upload.assert_finished(&*open());
}

fn participants_attempts_and_jobs_do_not_mix(open: Open<'_>) {
    let upload = Upload::new("mix", 6);
    let mut uploads = vec![upload.clone(); 5];
    uploads[1].participant = "site-2".parse().unwrap();
    uploads[2].task.attempt = 11;
    uploads[3].task.round = RoundNumber::new(11).unwrap();
    uploads[4].task.job = "mix-2".parse().unwrap();
    let spool = open();
    for (number, upload) in uploads.iter().enumerate() {
        upload.assert_gone(&*spool);
        upload.write_and_crash(&*spool, 20 + number);
    }
    upload.finish(&*spool);
    upload.assert_finished(&*spool);
    for other in uploads.iter().skip(1) {
        other.assert_unfinished(&*spool);
        other.finish(&*spool);
        other.assert_finished(&*spool);
    }
}

fn finishing_is_durable_and_can_be_repeated(open: Open<'_>) {
    let upload = Upload::new("finish", 7);
    upload.finish(&*open());
    upload.assert_finished(&*open());
    // The coordinator died before it could say so: the participant asks, and has nothing left to send.
    for _ in 0..2 {
        let mut writer = open().resume(upload.key(), LENGTH as u64).unwrap();
        let mut all = vec![0; LENGTH];
        writer.read_back(&mut all, 0).unwrap();
        assert_eq!(all, upload.bytes);
        writer.write(&[]).unwrap();
        assert!(writer.write(&[0]).is_err(), "a finished update takes no more bytes");
        writer.finish().unwrap();
        upload.assert_finished(&*open());
    }
}

fn a_finished_update_is_read_by_many(open: Open<'_>) {
    let upload = Upload::new("readers", 8);
    upload.finish(&*open());
    let update = open().open(upload.key()).unwrap();
    let (update, bytes) = (&*update, &upload.bytes);
    thread::scope(|scope| {
        for first in 0..4 {
            scope.spawn(move || {
                for start in (first..=LENGTH).step_by(4) {
                    for end in start..=LENGTH {
                        let mut read = vec![0; end - start];
                        update.read_exact_at(&mut read, start as u64).unwrap();
                        assert_eq!(read, bytes[start..end], "{start}..{end}");
                    }
                }
            });
        }
    });
    for offset in [LENGTH as u64 - 1, LENGTH as u64, u64::MAX - 1] {
        assert!(update.read_exact_at(&mut [0; 2], offset).is_err(), "{offset} is beyond the end");
    }
}

fn what_is_discarded_is_gone(open: Open<'_>) {
    let upload = Upload::new("discard", 9);
    let spool = open();
    upload.write_and_crash(&*spool, 40);
    let durable = upload.durable(&*spool) as u64;
    spool.resume(upload.key(), durable).unwrap().discard().unwrap();
    upload.assert_gone(&*open());
    upload.finish(&*spool);
    spool.resume(upload.key(), LENGTH as u64).unwrap().discard().unwrap();
    upload.assert_gone(&*open());
    upload.finish(&*spool);
    upload.assert_finished(&*open());
}

fn removal_takes_what_it_names(open: Open<'_>) {
    let finished = Upload::new("removal", 10);
    let mut begun = finished.clone();
    begun.participant = "other".parse().unwrap();
    let mut next = finished.clone();
    next.task.attempt = 11;
    let neighbour = Upload::new("removal-2", 11);
    let spool = open();
    for upload in [&finished, &next, &neighbour] {
        upload.finish(&*spool);
    }
    begun.write_and_crash(&*spool, 40);
    for _ in 0..2 {
        spool.remove_attempt(&finished.task).unwrap();
        finished.assert_gone(&*open());
        begun.assert_gone(&*open());
        next.assert_finished(&*open());
    }
    for _ in 0..2 {
        spool.remove_job(&finished.task.job).unwrap();
        next.assert_gone(&*open());
        neighbour.assert_finished(&*open());
    }
    finished.finish(&*spool);
    finished.assert_finished(&*open());
}
