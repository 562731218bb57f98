//! Disks that fill up, cannot be written, or change what is on them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use federated_proto::v1::JobState;
use federated_server::{
    FederatedServer,
    backup::{backup, restore},
    config::CoordinatorConfig,
};
use federated_tests::{ClientTls, Federation, Job, RawParticipant, Site, Update, model, reason};

/// A file system of its own, in memory; it goes with this value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this process may not mount anything.
    fn mount(bytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &size, "none"], folder.path());
        if !mounted {
            eprintln!("skipped: this process may not mount a file system");
        }
        mounted.then_some(Self(folder))
    }

    fn remount(&self, options: &str) {
        assert!(run("mount", &["-o", &format!("remount,{options}")], self.0.path()));
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    /// Leaves no room, until the file that is given back is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let mut file = fs::File::create(&path).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 4_096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["-l"], self.0.path());
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    let output = Command::new(program).args(arguments).arg(path).output();
    output.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn a_full_disk_refuses_updates_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount(16 << 20) else { return };
    let mut federation = Federation::configured(|config| config.state = disk.state()).await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    let job = Job { model: model(200_000, 0.0), ..Job::new("heart", 2) };
    federation.operator().await.start(&job).await;
    sites[0].contribute(1.0, 1).await;
    let task = sites[1].line.task().await;
    let filler = disk.fill();
    let refused = sites[1].raw.submit(&Update::constant(&task, 3.0, 1)).await.unwrap_err();
    assert_eq!(reason(&refused), "STORAGE_UNAVAILABLE", "{refused}");
    assert!(!refused.message().contains("/tmp"), "a peer does not learn of paths: {refused}");
    fs::remove_file(filler).unwrap();
    sites[1].raw.submit(&Update::constant(&task, 3.0, 1)).await.unwrap();
    let (status, found) = federation.operator().await.completed("heart").await;
    assert_eq!((found, status.history[0].attempt), (model(200_000, 2.0), 1));
    federation.stop().await;
}

#[tokio::test]
async fn a_coordinator_that_cannot_write_does_not_start_and_the_next_start_works() {
    let Some(disk) = SmallDisk::mount(16 << 20) else { return };
    let mut federation = Federation::configured(|config| config.state = disk.state()).await;
    federation.operator().await.start(&Job::new("heart", 2)).await;
    federation.stop().await;
    disk.remount("ro");
    let config =
        CoordinatorConfig { state: disk.state(), ..CoordinatorConfig::in_dir(&federation.folder()).unwrap() };
    let error = FederatedServer::builder().config(config).build().await.unwrap_err();
    assert!(error.to_string().contains("Read-only file system"), "{error}");
    disk.remount("rw");
    federation.serve().await;
    assert_eq!(federation.operator().await.status("heart").await.state(), JobState::Gathering);
    federation.stop().await;
}

/// Kills a coordinator when one of two updates is in, does something to that update's file, and has the other sent.
async fn with_changed_update(change: impl FnOnce(&Path)) {
    let mut federation = Federation::start().await;
    let bundles = ["a", "b"].map(|name| ClientTls::from_bundle(&federation.enroll(name)));
    let mut sites = join(&federation, &bundles).await;
    federation.operator().await.start(&Job { attempts: 2, ..Job::new("heart", 2) }).await;
    sites[0].contribute(1.0, 1).await;
    federation.kill().await;
    change(&federation.folder().join("state/updates/heart/1-1/a.update"));
    federation.serve().await;
    let mut sites = join(&federation, &bundles).await;
    sites[1].contribute(3.0, 1).await;
    // The round is abandoned with its reason, and tried again with everybody.
    for (site, value) in sites.iter_mut().zip([1.0, 3.0]) {
        let task = site.contribute(value, 1).await;
        assert_eq!(task.id.unwrap().attempt, 2);
    }
    let (status, found) = federation.operator().await.completed("heart").await;
    assert_eq!(found, model(2, 2.0));
    let abandoned = &status.history[0];
    assert!(!abandoned.completed && abandoned.message.contains("could not be combined"), "{abandoned:?}");
}

async fn join(federation: &Federation, bundles: &[ClientTls; 2]) -> Vec<Site> {
    let mut sites = Vec::new();
    for tls in bundles {
        let mut raw = RawParticipant::connect(federation.address(), tls).await;
        let line = raw.attend().await;
        sites.push(Site { raw, line });
    }
    sites
}

#[tokio::test]
async fn an_update_that_changed_on_the_disk_does_not_count() {
    with_changed_update(|path| {
        let mut bytes = fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_update_that_was_cut_short_does_not_count() {
    with_changed_update(|path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_backup_of_a_running_coordinator_goes_on_elsewhere_with_the_same_bits() {
    let mut federation = Federation::start().await;
    let bundles = ["a", "b"].map(|name| ClientTls::from_bundle(&federation.enroll(name)));
    let mut sites = join(&federation, &bundles).await;
    federation.operator().await.start(&Job::new("heart", 2)).await;
    sites[0].contribute(1.0, 1).await;
    let config = CoordinatorConfig::in_dir(&federation.folder()).unwrap();
    let copy = federation.scratch().join("copy");
    let copied = backup(&config, &copy).await.unwrap();
    assert_eq!((copied.jobs, copied.models, copied.updates), (1, 1, 1));

    federation.kill().await;
    fs::remove_dir_all(&config.state).unwrap();
    restore(&config, &copy).await.unwrap();
    federation.serve().await;
    let mut sites = join(&federation, &bundles).await;
    // The receipt that was given before holds: only the other one is asked.
    sites[1].contribute(3.0, 1).await;
    let (status, found) = federation.operator().await.completed("heart").await;
    assert_eq!((found.digest(), status.history[0].attempt), (model(2, 2.0).digest(), 1));
}
