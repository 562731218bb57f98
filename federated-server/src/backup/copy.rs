use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use federated_core::{
    ids::{Digest, DigestBuilder, ParticipantName},
    job::Job,
    round::{Member, Receipt, RoundPhase},
};

use crate::{
    config::SpoolConfig,
    store::{
        StoreError, durable,
        ledger::FOLDER as LEDGERS,
        spool::{self, Spool, UploadKey},
    },
};

/// How many bytes are copied at a time.
const BLOCK: usize = 1 << 20;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Jobs, with their whole logs.
    pub jobs: usize,
    /// Models.
    pub models: usize,
    /// Finished updates of rounds under way.
    pub updates: usize,
    /// Privacy ledgers, also of jobs that were forgotten.
    pub ledgers: usize,
}

/// Where models and updates are.
#[derive(Debug)]
pub(super) struct Place {
    state: PathBuf,
    spool: SpoolConfig,
}

impl Place {
    pub(super) fn new(state: &Path, spool: &SpoolConfig) -> Self {
        Self { state: state.to_owned(), spool: spool.clone() }
    }

    fn model(&self, digest: Digest) -> PathBuf {
        self.state.join("models").join(digest.to_string())
    }
}

/// Copies the models and updates that these jobs need. Each is compared with its digest.
pub(super) fn copy(jobs: &[Job], from: &Place, to: &Place) -> Result<Copied, StoreError> {
    let folder = to.state.join("models");
    fs::create_dir_all(&folder).map_err(StoreError::io("make the folder", &folder))?;
    let models = jobs.iter().flat_map(|job| [job.terms().initial_model, job.run().model()]);
    let models: BTreeSet<Digest> = models.collect();
    models.iter().try_for_each(|digest| copy_model(&from.model(*digest), &to.model(*digest), *digest))?;
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(StoreError::io("sync", &folder))?;
    let (source, target) = (spool::open(&from.spool, &from.state)?, spool::open(&to.spool, &to.state)?);
    let mut updates = 0;
    for job in jobs {
        let task = job.run().task();
        for (participant, Receipt { content, .. }) in receipts(job) {
            let key = UploadKey { task: &task, participant, content: *content };
            copy_update(key, source.as_ref(), target.as_ref())?;
            updates += 1;
        }
    }
    let ledgers = copy_ledgers(&from.state.join(LEDGERS), &to.state.join(LEDGERS))?;
    Ok(Copied { jobs: jobs.len(), models: models.len(), updates, ledgers })
}

/// Copies the ledgers, byte for byte, after the journal was read: they know at least of all that it speaks of. One that is
/// there is left: it may know of more.
fn copy_ledgers(from: &Path, to: &Path) -> Result<usize, StoreError> {
    let mut copied = 0;
    for ledger in durable::list(from)? {
        let target = to.join(ledger.file_name().unwrap_or_default());
        if ledger.extension().is_none_or(|ending| ending != "jsonl") || target.exists() {
            continue;
        }
        durable::folder(to)?;
        let bytes = fs::read(&ledger).map_err(StoreError::io("read", &ledger))?;
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.write(true).create_new(true).open(&target);
        let mut file = file.map_err(StoreError::io("make", &target))?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        written.map_err(StoreError::io("write", &target))?;
        copied += 1;
    }
    if copied > 0 { durable::sync_folder(to).map(|()| copied) } else { Ok(0) }
}

/// The updates that count in the round under way.
fn receipts(job: &Job) -> Vec<(&ParticipantName, &Receipt)> {
    match job.run().phase() {
        RoundPhase::Training { cohort, .. } => {
            let reported = cohort.iter().filter_map(|(name, member)| match member {
                Member::Reported(receipt) => Some((name, receipt)),
                _ => None,
            });
            reported.collect()
        }
        RoundPhase::Unmasking { contributions, .. } | RoundPhase::Aggregating { contributions, .. } => {
            contributions.iter().collect()
        }
        _ => Vec::new(),
    }
}

fn copy_model(from: &Path, to: &Path, expected: Digest) -> Result<(), StoreError> {
    let mut source = File::open(from).map_err(StoreError::io("open", from))?;
    let mut target = File::create(to).map_err(StoreError::io("make", to))?;
    let (mut digest, mut block) = (DigestBuilder::new(), vec![0; BLOCK]);
    loop {
        let read = source.read(&mut block).map_err(StoreError::io("read", from))?;
        let bytes = block.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        digest.update(bytes);
        target.write_all(bytes).map_err(StoreError::io("write", to))?;
    }
    target.sync_all().map_err(StoreError::io("sync", to))?;
    compare(from, expected, digest.finish())
}

fn copy_update(key: UploadKey<'_>, from: &dyn Spool, to: &dyn Spool) -> Result<(), StoreError> {
    let (source, mut target) = (from.open(key)?, to.resume(key, 0)?);
    let found = spool::read_through(source.as_ref(), |bytes| target.write(bytes))?;
    compare(&target.location(), key.content, found)?;
    target.finish()
}

fn compare(path: &Path, expected: Digest, found: Digest) -> Result<(), StoreError> {
    if found == expected {
        return Ok(());
    }
    let (path, expected, found) = (path.to_owned(), expected.to_string(), found.to_string());
    Err(StoreError::Damaged { path, expected, found })
}
