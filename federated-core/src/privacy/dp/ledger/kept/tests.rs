use std::{cell::RefCell, rc::Rc};

use zeroize::Zeroizing;

use super::*;
use crate::privacy::dp::{
    Accountant, Delta, Epsilon, MechanismStep, NoiseMultiplier, SamplingRate,
    ledger::{Adjacency, PrivacyUnit},
};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A file in memory, with room for some more bytes.
#[derive(Clone, Debug)]
struct Disk {
    bytes: Rc<RefCell<Vec<u8>>>,
    room: Rc<RefCell<usize>>,
}

impl Disk {
    fn new() -> Self {
        Self { bytes: Rc::default(), room: Rc::new(RefCell::new(usize::MAX)) }
    }

    fn room(&self, bytes: usize) {
        *self.room.borrow_mut() = bytes;
    }

    fn reopen(&self) -> Result<KeptLedger<Self>, KeptError<Full>> {
        let bytes = self.bytes.borrow().clone();
        KeptLedger::reopen(&bytes, key(), self.clone(), AT)
    }

    fn verified(&self) -> Ledger {
        Ledger::verify(&self.bytes.borrow(), &key().public()).unwrap()
    }
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("no space left")]
struct Full;

impl Append for Disk {
    type Error = Full;

    fn append(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let mut room = self.room.borrow_mut();
        let fitting = bytes.len().min(*room);
        *room -= fitting;
        self.bytes.borrow_mut().extend(&bytes[..fitting]);
        if fitting == bytes.len() { Ok(()) } else { Err(Full) }
    }
}

fn key() -> SigningSecret {
    SigningSecret::from_seed(Zeroizing::new([7; 32]))
}

fn budget(epsilon: f64) -> Budget {
    Budget {
        unit: PrivacyUnit::Record,
        adjacency: Adjacency::AddRemove,
        epsilon: Epsilon::new(epsilon).unwrap(),
        delta: Delta::new(1e-5).unwrap(),
        accountant: Accountant::Rdp,
    }
}

fn charge(noise: f64) -> Composition {
    let noise_multiplier = NoiseMultiplier::new(noise).unwrap();
    MechanismStep { noise_multiplier, sampling_rate: SamplingRate::FULL, rounds: 1.try_into().unwrap() }
        .into()
}

fn kept(disk: &Disk) -> KeptLedger<Disk> {
    let mut kept = KeptLedger::create("cleveland", budget(4.0), key(), disk.clone(), AT).unwrap();
    kept.plan("heart", &charge(4.0), AT).unwrap();
    kept
}

#[test]
fn what_is_kept_is_what_is_in_memory_after_every_call() {
    let disk = Disk::new();
    let mut kept = kept(&disk);
    let same = |kept: &KeptLedger<Disk>| assert_eq!(disk.verified(), *kept.ledger());
    same(&kept);
    let granted = kept.reserve("heart", "1", AT).unwrap();
    same(&kept);
    kept.commit(granted, AT).unwrap();
    same(&kept);
    let mut again = disk.reopen().unwrap();
    assert_eq!(again.ledger(), kept.ledger());
    again.plan("heart", &charge(4.0), AT).unwrap();
    assert_eq!(again.ledger(), kept.ledger(), "what was planned needs no second line");
}

#[test]
fn a_refusal_is_kept_before_it_is_told() {
    let disk = Disk::new();
    let mut kept = kept(&disk);
    let left = kept.ledger().left("heart").unwrap();
    for round in 0..left {
        let _granted = kept.reserve("heart", &round.to_string(), AT).unwrap();
    }
    let refused = kept.reserve("heart", "too much", AT).unwrap_err();
    assert!(matches!(refused, ReserveError::OverBudget(_)), "{refused}");
    assert_eq!(disk.verified().refused(), 1);
    disk.room(10);
    let failed = kept.reserve("heart", "too much", AT).unwrap_err();
    assert_eq!(failed, ReserveError::Kept(KeptError::Append(Full)));
}

#[test]
fn after_a_line_that_was_not_kept_nothing_is_done_until_it_is_opened_again() {
    // Nothing of the line, some of it, all but its line break.
    for room in [0, 1, 100, 300] {
        let disk = Disk::new();
        let mut kept = kept(&disk);
        disk.room(room);
        let failed = kept.reserve("heart", "1", AT).unwrap_err();
        assert_eq!(failed, ReserveError::Kept(KeptError::Append(Full)), "{room}");
        assert_eq!(failed.fault(), Fault::Environment);
        disk.room(usize::MAX);
        let unknown = Err(ReserveError::Kept(KeptError::EndUnknown));
        assert_eq!(kept.reserve("heart", "1", AT), unknown);
        assert_eq!(kept.plan("lungs", &charge(4.0), AT), Err(KeptError::EndUnknown));
        assert_eq!(kept.rebudget(&budget(5.0), AT), Err(KeptError::EndUnknown));
        let mut again = disk.reopen().unwrap();
        assert_eq!(again.ledger().torn(), u64::from(room > 0));
        assert_eq!(again.ledger().total().rounds(), u64::from(room > 0), "what was cut off is spent");
        let _granted = again.reserve("heart", "1", AT).unwrap();
        assert_eq!(disk.verified(), *again.ledger());
    }
}

#[test]
fn a_full_disk_while_a_torn_line_is_noted_is_noted_once_there_is_room() {
    let disk = Disk::new();
    let mut kept = kept(&disk);
    disk.room(50);
    kept.reserve("heart", "1", AT).unwrap_err();
    for room in [0, 3, 11, 40, 90] {
        disk.room(room);
        assert_eq!(disk.reopen().unwrap_err(), KeptError::Append(Full));
    }
    disk.room(usize::MAX);
    let again = disk.reopen().unwrap();
    assert_eq!((again.ledger().torn(), again.ledger().reserved()), (1, 0));
    assert_eq!(disk.verified(), *again.ledger());
}

#[test]
fn a_limit_that_is_raised_or_lowered_holds_from_there_on() {
    let disk = Disk::new();
    let mut kept = kept(&disk);
    let before = kept.ledger().left("heart").unwrap();
    for round in 0..before {
        let _granted = kept.reserve("heart", &round.to_string(), AT).unwrap();
    }
    let lines = kept.ledger().lines();
    kept.rebudget(&budget(4.0), AT).unwrap();
    assert_eq!(kept.ledger().lines(), lines, "the same limit needs no line");
    kept.rebudget(&budget(8.0), AT).unwrap();
    let mut kept = disk.reopen().unwrap();
    assert_eq!(kept.ledger().budget(), &budget(8.0));
    assert!(kept.ledger().left("heart").unwrap() > 0);
    let _granted = kept.reserve("heart", "more", AT).unwrap();
    let spent = kept.ledger().spent().unwrap();
    kept.rebudget(&budget(1.0), AT).unwrap();
    assert_eq!(kept.ledger().spent().unwrap(), spent, "what is spent stays spent");
    assert_eq!(kept.ledger().left("heart").unwrap(), 0);
    assert!(matches!(kept.reserve("heart", "even more", AT), Err(ReserveError::OverBudget(_))));
    let other = Budget { unit: PrivacyUnit::Participant, ..budget(1.0) };
    let refused = kept.rebudget(&other, AT).unwrap_err();
    assert_eq!(refused.fault(), Fault::Caller);
    let text = "expected a budget of unit record, adjacency add-remove and accountant rdp";
    assert!(refused.to_string().contains(text), "{refused}");
    assert_eq!(disk.verified(), *kept.ledger());
}

#[test]
fn what_was_reserved_before_a_restart_can_be_committed_once_and_allows_nothing_new() {
    let disk = Disk::new();
    let mut kept = kept(&disk);
    let _lost = kept.reserve("heart", "round 1", AT).unwrap();
    let mut again = disk.reopen().unwrap();
    assert_eq!(again.ledger().uncommitted().collect::<Vec<_>>(), [("heart", "round 1")]);
    assert!(!again.commit_earlier("heart", "round 2", AT).unwrap());
    assert!(again.commit_earlier("heart", "round 1", AT).unwrap());
    assert!(!again.commit_earlier("heart", "round 1", AT).unwrap());
    let story = again.ledger().release("heart").unwrap();
    assert_eq!((story.reserved(), story.committed(), story.refused()), (1, 1, 0));
    assert_eq!(disk.verified(), *again.ledger());
}

#[test]
fn a_foreign_key_or_a_damaged_ledger_is_not_gone_on_with() {
    let disk = Disk::new();
    drop(kept(&disk));
    let bytes = disk.bytes.borrow().clone();
    let stranger = SigningSecret::from_seed(Zeroizing::new([8; 32]));
    let failed = KeptLedger::reopen(&bytes, stranger, disk.clone(), AT).unwrap_err();
    assert_eq!(failed, KeptError::Ledger(LedgerError::Signature { line: 1 }));
    assert_eq!(*disk.bytes.borrow(), bytes, "nothing was written");
}
