use federated_core::privacy::dp::{
    Accountant, Delta, Epsilon, MechanismStep, NoiseMultiplier, SamplingRate,
    ledger::{Adjacency, LedgerError, PrivacyUnit},
};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn key() -> SigningSecret {
    SigningSecret::from_seed([7; 32].into())
}

fn job() -> JobName {
    "heart".parse().unwrap()
}

fn budget(epsilon: f64) -> Budget {
    Budget {
        unit: PrivacyUnit::Participant,
        adjacency: Adjacency::AddRemove,
        epsilon: Epsilon::new(epsilon).unwrap(),
        delta: Delta::new(1e-5).unwrap(),
        accountant: Accountant::Rdp,
    }
}

fn charge() -> Composition {
    let noise_multiplier = NoiseMultiplier::new(5.0).unwrap();
    MechanismStep { noise_multiplier, sampling_rate: SamplingRate::FULL, rounds: 1.try_into().unwrap() }
        .into()
}

fn open(store: &Store, epsilon: f64) -> Result<JobLedger, JobLedgerError> {
    JobLedger::open(store, &job(), budget(epsilon), key(), NOW)
}

#[test]
fn what_a_job_spent_is_there_after_a_restart_with_the_limit_of_now() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut ledger = open(&store, 1.0).unwrap();
    ledger.plan("round", &charge(), NOW).unwrap();
    let granted = ledger.reserve("round", "round 1/attempt 1", NOW).unwrap();
    ledger.commit(granted, NOW).unwrap();
    let refused = ledger.reserve("round", "round 2/attempt 1", NOW).unwrap_err();
    assert!(matches!(refused, ReserveError::OverBudget(_)), "{refused}");
    let second = open(&store, 1.0).unwrap_err();
    assert!(matches!(second, JobLedgerError::Store(StoreError::Locked { .. })), "{second}");
    drop(ledger);
    let mut ledger = JobLedger::reopen(&store, &job(), budget(4.0), key(), NOW).unwrap();
    let _granted = ledger.reserve("round", "round 2/attempt 1", NOW).unwrap();
    drop(ledger);
    let mut ledger = open(&store, 4.0).unwrap();
    assert!(ledger.commit_earlier("round", "round 2/attempt 1", NOW).unwrap());
    let books = ledger.ledger();
    assert_eq!((books.subject(), books.reserved(), books.committed(), books.refused()), ("heart", 2, 2, 1));
    let bytes = fs::read(JobLedger::path(store.root(), &job())).unwrap();
    assert_eq!(Ledger::verify(&bytes, &ledger.public()).as_ref(), Ok(books));
}

#[test]
fn a_ledger_that_is_gone_cut_off_or_of_another_key_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let path = JobLedger::path(store.root(), &job());
    let reopen = |key| JobLedger::reopen(&store, &job(), budget(4.0), key, NOW);
    let missing = reopen(key()).unwrap_err();
    assert!(matches!(missing, JobLedgerError::Missing { .. }), "{missing}");
    assert_eq!(missing.fault(), federated_core::fault::Fault::Environment);
    // A crash before the first line had its name.
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(file::unfinished(&path), "{\"seq").unwrap();
    let mut ledger = open(&store, 4.0).unwrap();
    ledger.plan("round", &charge(), NOW).unwrap();
    let _granted = ledger.reserve("round", "1", NOW).unwrap();
    drop(ledger);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let ledger = reopen(key()).unwrap();
    assert_eq!((ledger.ledger().reserved(), ledger.ledger().torn()), (0, 1));
    assert_eq!(ledger.ledger().total().rounds(), 1);
    drop(ledger);
    let error = reopen(SigningSecret::from_seed([8; 32].into())).unwrap_err();
    let of_another = matches!(
        &error,
        JobLedgerError::Ledger { source: KeptError::Ledger(LedgerError::Signature { line: 1 }), .. }
    );
    assert!(of_another, "{error}");
    assert!(error.to_string().starts_with("the privacy ledger of job `heart`: line 1"), "{error}");
}
