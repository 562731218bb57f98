use std::{fs, path::Path};

use federated_core::{
    fault::Fault,
    ids::ParticipantName,
    privacy::dp::{
        Composition, Delta, Epsilon, MechanismStep, NoiseMultiplier, SamplingRate,
        ledger::{KeptError, Ledger, LedgerError, ReserveError},
    },
    time::Timestamp,
};

use super::*;
use crate::config::SiteBudget;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn limit(folder: &Path, epsilon: f64) -> SiteBudget {
    SiteBudget::new(Epsilon::new(epsilon).unwrap(), Delta::new(1e-5).unwrap(), folder.join("site/privacy"))
}

fn name() -> ParticipantName {
    "cleveland".parse().unwrap()
}

fn charge(noise: f64) -> Composition {
    let noise_multiplier = NoiseMultiplier::new(noise).unwrap();
    MechanismStep { noise_multiplier, sampling_rate: SamplingRate::FULL, rounds: 1.try_into().unwrap() }
        .into()
}

fn open(config: &SiteBudget) -> Result<SiteLedger, SiteLedgerError> {
    SiteLedger::open(config, &name(), NOW)
}

/// A ledger with a release that is committed and one that is not.
fn used(config: &SiteBudget) {
    let mut ledger = open(config).unwrap();
    ledger.plan("heart", &charge(5.0), NOW).unwrap();
    let granted = ledger.reserve("heart", "round 1", NOW).unwrap();
    ledger.commit(granted, NOW).unwrap();
    let _granted = ledger.reserve("heart", "round 2", NOW).unwrap();
}

#[test]
fn what_was_spent_is_there_after_a_restart_and_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = limit(folder.path(), 8.0);
    used(&config);
    let mut ledger = open(&config).unwrap();
    assert_eq!((ledger.ledger().reserved(), ledger.ledger().committed()), (2, 1));
    assert_eq!(ledger.ledger().subject(), "cleveland");
    assert!(ledger.commit_earlier("heart", "round 2", NOW).unwrap());
    let copy = LedgerCopy::of_folder(&config.folder).unwrap();
    assert_eq!((copy.ledger(), copy.key()), (ledger.ledger(), ledger.public()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |file: &str| fs::metadata(config.folder.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!([".", "lock", "ledger.jsonl", "ledger.key"].map(mode), [0o700, 0o600, 0o600, 0o600]);
    }
}

#[test]
fn two_processes_cannot_write_it_and_anyone_may_look() {
    let folder = tempfile::tempdir().unwrap();
    let config = limit(folder.path(), 8.0);
    let first = open(&config).unwrap();
    let second = open(&config).unwrap_err();
    assert!(matches!(second, SiteLedgerError::InUse { .. }), "{second}");
    assert_eq!(second.fault(), Fault::Caller);
    assert!(LedgerCopy::of_folder(&config.folder).is_ok());
    drop(first);
    assert!(open(&config).is_ok());
}

#[test]
fn a_ledger_or_a_key_that_is_gone_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let config = limit(folder.path(), 8.0);
    used(&config);
    let (ledger, key) = (config.folder.join("ledger.jsonl"), config.folder.join("ledger.key"));
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&ledger, &elsewhere).unwrap();
    let missing = open(&config).unwrap_err();
    assert!(matches!(missing, SiteLedgerError::LedgerMissing { .. }), "{missing}");
    assert!(missing.to_string().contains("restore it from a backup"), "{missing}");
    assert!(matches!(LedgerCopy::of_folder(&config.folder), Err(SiteLedgerError::LedgerMissing { .. })));
    fs::rename(&elsewhere, &ledger).unwrap();
    fs::rename(&key, &elsewhere).unwrap();
    assert!(matches!(open(&config), Err(SiteLedgerError::KeyMissing { .. })));
    fs::write(&key, "no key").unwrap();
    assert!(matches!(open(&config), Err(SiteLedgerError::Key { .. })));
    fs::write(&key, "07".repeat(32)).unwrap();
    let error = open(&config).unwrap_err();
    let of_another = matches!(
        &error,
        SiteLedgerError::Ledger { source: KeptError::Ledger(LedgerError::Signature { line: 1 }), .. }
    );
    assert!(of_another, "{error}");
    fs::rename(&elsewhere, &key).unwrap();
    assert_eq!(open(&config).unwrap().ledger().reserved(), 2);
}

#[test]
fn a_crash_while_the_files_are_made_leaves_none_or_both() {
    let folder = tempfile::tempdir().unwrap();
    let config = limit(folder.path(), 8.0);
    let (ledger, key) = (config.folder.join("ledger.jsonl"), config.folder.join("ledger.key"));
    // Before either has its name: half a key, half a line.
    fs::create_dir_all(&config.folder).unwrap();
    fs::write(config.folder.join("ledger.key.new"), "0707").unwrap();
    fs::write(config.folder.join("ledger.jsonl.new"), "{\"seq").unwrap();
    assert!(matches!(LedgerCopy::of_folder(&config.folder), Err(SiteLedgerError::Absent { .. })));
    let public = open(&config).unwrap().public();
    // Between the two names.
    fs::rename(&key, config.folder.join("ledger.key.new")).unwrap();
    assert!(matches!(LedgerCopy::of_folder(&config.folder), Err(SiteLedgerError::Absent { .. })));
    assert_eq!(open(&config).unwrap().public(), public);
    assert!(key.exists() && ledger.exists());
}

#[test]
fn a_last_line_that_was_cut_off_counts_as_spent() {
    let folder = tempfile::tempdir().unwrap();
    let config = limit(folder.path(), 8.0);
    used(&config);
    let path = config.folder.join("ledger.jsonl");
    let file = fs::read(&path).unwrap();
    fs::write(&path, &file[..file.len() - 3]).unwrap();
    let copy = LedgerCopy::of_folder(&config.folder).unwrap();
    assert!(copy.cut_off() > 100);
    assert_eq!(copy.ledger().reserved(), 1);
    let ledger = open(&config).unwrap();
    assert_eq!((ledger.ledger().reserved(), ledger.ledger().torn()), (1, 1));
    assert_eq!(ledger.ledger().total().rounds(), 2);
    let mended = fs::read(&path).unwrap();
    assert_eq!(Ledger::verify(&mended, &ledger.public()).as_ref(), Ok(ledger.ledger()));
}

#[test]
fn the_limit_of_the_configuration_holds_and_its_change_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let (low, high) = (limit(folder.path(), 1.0), limit(folder.path(), 2.0));
    let mut ledger = open(&low).unwrap();
    ledger.plan("heart", &charge(5.0), NOW).unwrap();
    let _granted = ledger.reserve("heart", "round 1", NOW).unwrap();
    let refused = ledger.reserve("heart", "round 2", NOW).unwrap_err();
    assert!(matches!(refused, ReserveError::OverBudget(_)), "{refused}");
    assert!(
        refused.to_string().contains("the privacy budget is epsilon 1 with delta 0.0000099"),
        "{refused}"
    );
    drop(ledger);
    let mut ledger = open(&high).unwrap();
    let _granted = ledger.reserve("heart", "round 2", NOW).unwrap();
    drop(ledger);
    let mut ledger = open(&low).unwrap();
    assert!(matches!(ledger.reserve("heart", "round 3", NOW), Err(ReserveError::OverBudget(_))));
    assert_eq!(ledger.ledger().refused(), 2);
}

#[test]
fn an_exported_copy_is_checked_without_the_private_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = limit(folder.path(), 8.0);
    used(&config);
    let copy = LedgerCopy::of_folder(&config.folder).unwrap();
    let to = folder.path().join("copy.jsonl");
    copy.export(&to).unwrap();
    assert_eq!(Ledger::verify(&fs::read(&to).unwrap(), &copy.key()).as_ref(), Ok(copy.ledger()));
    assert!(matches!(copy.export(&to), Err(SiteLedgerError::Write(_))), "nothing is written over");
}
