use federated_core::privacy::dp::{Accountant, Composition, Delta, ledger::Ledger};
use serde_json::Value;

/// What must never be seen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Violation {
    #[error(
        "{machine}: released `{release}` of {occasion} for the {times}th time without a reservation on disk"
    )]
    Unreserved { machine: String, release: String, occasion: String, times: usize },
    #[error("{machine}: released epsilon {released}, the limit is {limit}")]
    BeyondLimit { machine: String, released: f64, limit: f64 },
    #[error("{machine}: released epsilon {released}, the ledger says {ledger}")]
    Undercounted { machine: String, released: f64, ledger: f64 },
    #[error("{machine}: the ledger is not what was written: {why}")]
    Ledger { machine: String, why: String },
}

/// What left a machine for certain, counted without its ledger.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) machine: String,
    pub(crate) accountant: Accountant,
    pub(crate) delta: Delta,
    released: Vec<(String, String)>,
    total: Composition,
}

impl Truth {
    pub(crate) fn new(machine: &str, accountant: Accountant, delta: Delta) -> Self {
        let machine = machine.to_owned();
        Self { machine, accountant, delta, released: Vec::new(), total: Composition::EMPTY }
    }

    pub(crate) fn has(&self, release: &str, occasion: &str) -> bool {
        self.times(release, occasion) > 0
    }

    fn times(&self, release: &str, occasion: &str) -> usize {
        self.released.iter().filter(|(name, when)| name == release && when == occasion).count()
    }

    fn epsilon(&self) -> f64 {
        self.accountant.epsilon(&self.total, self.delta).expect("what can be counted").epsilon
    }

    /// Something is out. The disk must know, and the limit must allow it.
    pub(crate) fn release(
        &mut self,
        (release, occasion): (&str, &str),
        charge: &Composition,
        durable: &[u8],
        limit: f64,
    ) -> Result<(), Violation> {
        self.released.push((release.to_owned(), occasion.to_owned()));
        charge.steps().iter().for_each(|step| self.total.push(*step));
        let (machine, times) = (self.machine.clone(), self.times(release, occasion));
        if reservations(durable, release, occasion) < times {
            let (release, occasion) = (release.to_owned(), occasion.to_owned());
            return Err(Violation::Unreserved { machine, release, occasion, times });
        }
        let released = self.epsilon();
        if released > limit {
            return Err(Violation::BeyondLimit { machine, released, limit });
        }
        Ok(())
    }

    /// What a ledger says after a restart must be all of it.
    pub(crate) fn check(&self, ledger: &Ledger) -> Result<(), Violation> {
        let machine = self.machine.clone();
        let (released, said) = (self.epsilon(), ledger.spent().expect("what can be counted").epsilon);
        if said < released {
            return Err(Violation::Undercounted { machine, released, ledger: said });
        }
        let short = ledger.total().rounds() < self.total.rounds();
        if short || ledger.reserved() + ledger.torn() < self.releases() {
            let why = format!("{} releases, {} reserved", self.releases(), ledger.reserved());
            return Err(Violation::Ledger { machine, why });
        }
        Ok(())
    }

    /// How many there were.
    pub(crate) fn releases(&self) -> u64 {
        self.released.len().try_into().expect("a few releases")
    }
}

/// How many lines of a file reserve this, read as nothing but JSON.
fn reservations(file: &[u8], release: &str, occasion: &str) -> usize {
    let lines =
        file.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    lines
        .filter(|line| {
            let record = &line["record"];
            record["kind"] == "reserved" && record["release"] == release && record["occasion"] == occasion
        })
        .count()
}
