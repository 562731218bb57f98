use federated_core::ids::{Digest, RoundNumber};
use object_store::{local::LocalFileSystem, memory::InMemory};
use tokio::runtime::Runtime;

use super::*;
use crate::store::spool::conformance;

/// A runtime of one worker, as small as a coordinator's can be.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn spool(store: &Arc<dyn ObjectStore>, runtime: &Runtime, segment: usize) -> ObjectSpool {
    let spool = ObjectSpool::new(Arc::clone(store), Path::from("some/prefix"), runtime.handle().clone());
    ObjectSpool { segment: NonZeroUsize::new(segment).unwrap(), ..spool }
}

#[test]
fn a_store_in_memory_keeps_the_laws_whatever_the_size_of_a_segment() {
    let runtime = runtime();
    for segment in [1, 3, 7, 16] {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        conformance::check(|| Box::new(spool(&store, &runtime, segment)));
    }
}

#[test]
fn a_store_of_local_files_keeps_the_laws() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let open = || -> Box<dyn Spool> {
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
        Box::new(spool(&store, &runtime, 7))
    };
    conformance::check(open);
}

/// An upload of 40 bytes in segments of 16, finished, and what is needed to damage it.
struct Scene {
    runtime: Runtime,
    store: Arc<dyn ObjectStore>,
    task: TaskId,
    site: ParticipantName,
    bytes: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let task = TaskId { job: "job".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 };
        let (site, bytes) = ("site".parse().unwrap(), (0..40).collect());
        let scene = Self { runtime: runtime(), store: Arc::new(InMemory::new()), task, site, bytes };
        let mut writer = scene.spool().resume(scene.key(), 0).unwrap();
        writer.write(&scene.bytes).unwrap();
        assert_eq!(writer.durable(), 32);
        writer.finish().unwrap();
        scene
    }

    fn spool(&self) -> ObjectSpool {
        spool(&self.store, &self.runtime, 16)
    }

    fn key(&self) -> UploadKey<'_> {
        UploadKey { task: &self.task, participant: &self.site, content: Digest::of(&self.bytes) }
    }

    fn object(&self, name: &str) -> Path {
        self.spool().upload_folder(self.key()).join(name)
    }

    fn names(&self) -> Vec<String> {
        let objects = self.spool().bucket.list(&Path::default()).unwrap();
        let mut names: Vec<_> = objects.into_iter().map(|object| object.location.to_string()).collect();
        names.sort();
        names
    }

    fn finish_from(&self, offset: usize) {
        let mut writer = self.spool().resume(self.key(), offset as u64).unwrap();
        writer.write(&self.bytes[offset..]).unwrap();
        writer.finish().unwrap();
        let mut read = vec![0; self.bytes.len()];
        self.spool().open(self.key()).unwrap().read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read, self.bytes);
        assert_eq!(self.names().len(), 4);
    }
}

#[test]
fn objects_are_named_by_job_attempt_participant_content_and_number() {
    let scene = Scene::new();
    let folder = format!("some/prefix/job/1-1/site/{}", Digest::of(&scene.bytes));
    let expected = ["00000000", "00000001", "00000002", "complete"].map(|name| format!("{folder}/{name}"));
    assert_eq!(scene.names(), expected);
}

#[test]
fn a_crash_before_the_marker_leaves_an_upload_that_needs_no_further_bytes() {
    let scene = Scene::new();
    scene.spool().bucket.remove(vec![scene.object("complete")]).unwrap();
    assert_eq!(scene.spool().durable(scene.key()).unwrap(), 40);
    assert!(scene.spool().open(scene.key()).is_err());
    scene.finish_from(40);
}

#[test]
fn an_upload_that_begins_again_is_not_finished_meanwhile() {
    let scene = Scene::new();
    drop(scene.spool().resume(scene.key(), 0).unwrap());
    assert!(scene.names().is_empty());
    scene.finish_from(0);
}

#[test]
fn an_upload_goes_on_before_a_segment_that_is_missing_and_is_not_finished_meanwhile() {
    let scene = Scene::new();
    scene.spool().bucket.remove(vec![scene.object("00000001")]).unwrap();
    assert_eq!(scene.spool().durable(scene.key()).unwrap(), 16);
    assert!(scene.spool().open(scene.key()).is_err());
    let mut writer = scene.spool().resume(scene.key(), 16).unwrap();
    assert_eq!(scene.names().len(), 1, "what came after the gap is removed");
    writer.write(&scene.bytes[16..]).unwrap();
    drop(writer);
    scene.finish_from(32);
}

#[test]
fn a_marker_that_says_something_else_is_none() {
    let scene = Scene::new();
    for wrong in ["", "41", "forty", "400000000000000000000000"] {
        scene.spool().bucket.put(&scene.object("complete"), wrong.into()).unwrap();
        assert!(scene.spool().open(scene.key()).is_err(), "{wrong}");
        assert_eq!(scene.spool().durable(scene.key()).unwrap(), 40);
        scene.finish_from(40);
    }
}

#[test]
fn a_bucket_that_can_be_used_is_left_as_it_was_and_one_that_cannot_is_refused() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let bucket = Bucket::new(store, runtime.handle().clone(), "s3://bucket");
    connect::probe(&bucket, &Path::from("prefix")).unwrap();
    assert!(bucket.list(&Path::default()).unwrap().is_empty());
    std::fs::write(folder.path().join("occupied"), b"").unwrap();
    let (action, error) = connect::probe(&bucket, &Path::from("occupied")).unwrap_err();
    assert!(action == "write" && error.to_string().contains("s3://bucket/occupied/_probe"), "{error}");
}
