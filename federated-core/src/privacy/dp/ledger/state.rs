use std::collections::BTreeMap;

use super::{
    Budget, LedgerError, OverBudget, Record,
    line::{self, Link},
};
use crate::{
    ids::Fingerprint,
    privacy::{
        dp::{AccountantError, Composition, Spent},
        secagg::{SigningSecret, VerifyingPublic},
    },
    time::Timestamp,
};

/// What is written behind a line that was cut off.
const CUT_OFF: &str = " (cut off)";

/// What was spent of a budget, as the lines of a ledger give it.
///
/// It is plain data: whoever keeps it appends each line that a method gives to a file, makes it durable, and only then goes
/// on with the state that came with it, and does what the line says.
///
/// # Privacy
/// What is reserved is spent, whether it is released or not: a crash between the two cannot give anything back.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    subject: String,
    budget: Budget,
    link: Link,
    planned: BTreeMap<String, Composition>,
    /// Reserved and not committed, by the number of the line.
    open: BTreeMap<u64, String>,
    total: Composition,
    counts: Counts,
}

/// How many records of a kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    reserved: u64,
    committed: u64,
    refused: u64,
    torn: u64,
}

/// That a release was reserved: what allows it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is reserved is spent"]
pub struct Granted {
    reservation: u64,
}

/// What became of the wish to release something.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a release is granted or it is not")]
pub enum Reservation {
    /// It may be released once the line is durable.
    Granted {
        /// What to go on with.
        ledger: Ledger,
        /// The line to append first.
        line: String,
        /// To be committed after the release.
        granted: Granted,
    },
    /// It would exceed the budget.
    Refused {
        /// What to go on with.
        ledger: Ledger,
        /// The line to append.
        line: String,
        /// Why.
        error: OverBudget,
    },
}

/// What is left of a last line that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    bytes: Vec<u8>,
}

impl TornTail {
    /// Its length.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing, which is never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Ledger {
    /// A new ledger, with its first line.
    ///
    /// # Errors
    /// [`LedgerError::Line`] when the subject cannot be written.
    pub fn open(
        subject: &str,
        budget: Budget,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, String), LedgerError> {
        let record = Record::Opened { subject: subject.to_owned(), budget };
        let line = line::write(Link::first(), at, &record, signing)?;
        Ok((Self::opened(subject.to_owned(), budget, Link::first().after(without_break(&line))), line))
    }

    fn opened(subject: String, budget: Budget, link: Link) -> Self {
        let counts = Counts::default();
        let (planned, open) = (BTreeMap::new(), BTreeMap::new());
        Self { subject, budget, link, planned, open, total: Composition::EMPTY, counts }
    }

    /// Reads a ledger and checks every line of it.
    ///
    /// # Errors
    /// [`LedgerError`] for the first line that is not as its owner wrote it, and [`LedgerError::Torn`] when the last one is cut
    /// off.
    pub fn verify(bytes: &[u8], key: &VerifyingPublic) -> Result<Self, LedgerError> {
        let (ledger, tail) = Self::read(bytes, key)?;
        match tail {
            None => Ok(ledger),
            Some(TornTail { bytes }) => match first_line(&bytes) {
                None => Err(LedgerError::Torn { bytes: bytes.len() }),
                Some(whole) => line::read(ledger.link, whole, key).and(Ok(ledger)),
            },
        }
    }

    /// The same for whoever goes on writing it: a last line that was cut off is to be noted with [`mend`](Self::mend).
    ///
    /// # Errors
    /// [`LedgerError`] for the first line that is not as its owner wrote it.
    pub fn read(bytes: &[u8], key: &VerifyingPublic) -> Result<(Self, Option<TornTail>), LedgerError> {
        let first = first_line(bytes).ok_or(LedgerError::NotOpened { found: "no whole line" })?;
        let mut ledger = match line::read(Link::first(), first, key)? {
            (_, Record::Opened { subject, budget }) => {
                Self::opened(subject, budget, Link::first().after(first))
            }
            _ => return Err(LedgerError::NotOpened { found: "another record" }),
        };
        let mut rest = bytes.get(first.len() + 1..).unwrap_or_default();
        while !rest.is_empty() {
            let whole = first_line(rest);
            let read =
                whole.map(|whole| line::read(ledger.link, whole, key).map(|(_, record)| (whole, record)));
            let (cut_off, whole, record) = match read {
                Some(Ok((whole, record))) => (None, whole, record),
                failed => match ledger.noted(rest, key) {
                    Some((cut_off, whole, record)) => (Some(cut_off), whole, record),
                    None => return ledger.torn_tail(rest, failed.and_then(Result::err), key),
                },
            };
            ledger.apply(&record, cut_off.is_some())?;
            ledger.link = ledger.link.after(whole);
            let passed = cut_off.map_or(0, |cut_off| cut_off + 1) + whole.len() + 1;
            rest = rest.get(passed..).unwrap_or_default();
        }
        Ok((ledger, None))
    }

    /// After bytes that are no line, the record that says so: their number, the record's line, and the record.
    fn noted<'a>(&self, rest: &'a [u8], key: &VerifyingPublic) -> Option<(usize, &'a [u8], Record)> {
        let breaks = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place);
        breaks.clone().find_map(|cut_off| {
            let whole = first_line(rest.get(cut_off + 1..)?)?;
            let (_, record) = line::read(self.link, whole, key).ok()?;
            let before = rest.get(..cut_off)?;
            matches!(&record, Record::Torn { bytes, sha256 }
                if *bytes == before.len() as u64 && *sha256 == Fingerprint::of(before).to_string())
            .then_some((cut_off, whole, record))
        })
    }

    /// What is left of a last line, unless whole lines of the owner are among it: then it was no crash that did this.
    fn torn_tail(
        self,
        rest: &[u8],
        error: Option<LedgerError>,
        key: &VerifyingPublic,
    ) -> Result<(Self, Option<TornTail>), LedgerError> {
        let mut whole =
            rest.split_inclusive(|byte| *byte == b'\n').filter_map(|piece| piece.strip_suffix(b"\n"));
        match error {
            Some(error) if whole.any(|piece| line::is_signed(piece, key)) => Err(error),
            _ => Ok((self, Some(TornTail { bytes: rest.to_vec() }))),
        }
    }

    /// What a record changes.
    fn apply(&mut self, record: &Record, after_cut_off: bool) -> Result<(), LedgerError> {
        let line = self.link.place();
        match record {
            Record::Opened { .. } => return Err(LedgerError::Story { line, expected: "one beginning" }),
            Record::Planned { release, charge } => {
                self.planned.insert(release.clone(), charge.clone());
            }
            Record::Reserved { release, .. } => {
                let expected = "a release that was planned before";
                let charge = self.planned.get(release).ok_or(LedgerError::Story { line, expected })?;
                charge.steps().iter().for_each(|step| self.total.push(*step));
                self.open.insert(self.link.sequence, release.clone());
                self.counts.reserved += 1;
            }
            Record::Committed { reservation } => {
                let expected = "a reservation that is open";
                self.open.remove(reservation).ok_or(LedgerError::Story { line, expected })?;
                self.counts.committed += 1;
            }
            Record::Refused { .. } => self.counts.refused += 1,
            Record::Torn { .. } => {
                if !after_cut_off {
                    return Err(LedgerError::Story { line, expected: "a line that was cut off before it" });
                }
                self.costliest()?.steps().iter().for_each(|step| self.total.push(*step));
                self.counts.torn += 1;
            }
        }
        Ok(())
    }

    /// The planned release that alone spends most.
    fn costliest(&self) -> Result<Composition, AccountantError> {
        let mut costliest = (0.0, Composition::EMPTY);
        for charge in self.planned.values() {
            let epsilon = self.budget.accountant.epsilon(charge, self.budget.delta)?.epsilon;
            if epsilon >= costliest.0 {
                costliest = (epsilon, charge.clone());
            }
        }
        Ok(costliest.1)
    }

    fn appended(
        &self,
        record: &Record,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, String), LedgerError> {
        let line = line::write(self.link, at, record, signing)?;
        let mut next = self.clone();
        next.apply(record, true)?;
        next.link = next.link.after(without_break(&line));
        Ok((next, line))
    }

    /// Notes that the last line was cut off. What it said is not known, so it counts as the costliest release that was planned.
    ///
    /// The line is to be appended as it is, after what is left of the one before it.
    ///
    /// # Errors
    /// [`LedgerError`] when what is planned cannot be counted.
    pub fn mend(
        self,
        tail: &TornTail,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, String), LedgerError> {
        // Marked, so that a line which lacks nothing but its break does not become whole.
        let cut_off = [&tail.bytes, CUT_OFF.as_bytes()].concat();
        let record =
            Record::Torn { bytes: cut_off.len() as u64, sha256: Fingerprint::of(&cut_off).to_string() };
        let (next, line) = self.appended(&record, signing, at)?;
        Ok((next, format!("{CUT_OFF}\n{line}")))
    }

    /// Says what each release of this name spends. Said again with the same charge, it needs no line.
    ///
    /// # Errors
    /// [`LedgerError::Replanned`] when it was said otherwise before.
    pub fn plan(
        self,
        release: &str,
        charge: &Composition,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, Option<String>), LedgerError> {
        match self.planned.get(release) {
            Some(before) if before == charge => return Ok((self, None)),
            Some(_) => return Err(LedgerError::Replanned { release: release.to_owned() }),
            None => {}
        }
        let record = Record::Planned { release: release.to_owned(), charge: charge.clone() };
        self.appended(&record, signing, at).map(|(next, line)| (next, Some(line)))
    }

    /// Reserves one release, before anything of it is computed, if the budget allows it.
    ///
    /// # Errors
    /// [`LedgerError::Unplanned`] for one that was not planned.
    pub fn reserve(
        self,
        release: &str,
        occasion: &str,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<Reservation, LedgerError> {
        let spent = self.spent()?.epsilon;
        let would_be = self.with(release, 1)?.ok();
        let (limit, delta) = (self.budget.epsilon, self.budget.delta);
        let (release, occasion) = (release.to_owned(), occasion.to_owned());
        if would_be.is_some_and(|epsilon| epsilon <= limit.get()) {
            let granted = Granted { reservation: self.link.sequence };
            let (ledger, line) = self.appended(&Record::Reserved { release, occasion }, signing, at)?;
            return Ok(Reservation::Granted { ledger, line, granted });
        }
        let record = Record::Refused { release: release.clone(), occasion, epsilon: would_be };
        let (ledger, line) = self.appended(&record, signing, at)?;
        Ok(Reservation::Refused {
            ledger,
            line,
            error: OverBudget { release, limit, delta, spent, would_be },
        })
    }

    /// Notes that what was reserved has been released.
    ///
    /// # Errors
    /// [`LedgerError`] when the line cannot be written.
    pub fn commit(
        self,
        granted: Granted,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, String), LedgerError> {
        self.appended(&Record::Committed { reservation: granted.reservation }, signing, at)
    }

    /// The epsilon with so many more of a release; the inner error is that there is none.
    fn with(&self, release: &str, times: u32) -> Result<Result<f64, AccountantError>, LedgerError> {
        let charge = self
            .planned
            .get(release)
            .ok_or_else(|| LedgerError::Unplanned { release: release.to_owned() })?;
        let mut total = self.total.clone();
        for step in charge.steps() {
            let Some(rounds) = step.rounds.checked_mul(times.max(1).try_into().unwrap_or(step.rounds)) else {
                return Ok(Ok(f64::INFINITY));
            };
            total.push(crate::privacy::dp::MechanismStep { rounds, ..*step });
        }
        let spent = self.budget.accountant.epsilon(&total, self.budget.delta);
        Ok(spent.map(|spent| spent.epsilon))
    }

    /// What is spent: everything that was reserved.
    ///
    /// # Errors
    /// [`AccountantError`] when it cannot be counted.
    pub fn spent(&self) -> Result<Spent, AccountantError> {
        self.budget.accountant.epsilon(&self.total, self.budget.delta)
    }

    /// How many more of a release the budget allows, if nothing else is released.
    ///
    /// # Errors
    /// [`LedgerError::Unplanned`] for one that was not planned.
    pub fn left(&self, release: &str) -> Result<u32, LedgerError> {
        let fits = |times: u32| -> Result<bool, LedgerError> {
            Ok(self.with(release, times)?.is_ok_and(|epsilon| epsilon <= self.budget.epsilon.get()))
        };
        let mut beyond = 1;
        while fits(beyond)? {
            let Some(next) = beyond.checked_mul(2) else { return Ok(u32::MAX) };
            beyond = next;
        }
        // `beyond / 2` fits, or is 0.
        let (mut fitting, mut beyond) = (beyond / 2, beyond);
        while beyond - fitting > 1 {
            let middle = fitting + (beyond - fitting) / 2;
            if fits(middle)? { fitting = middle } else { beyond = middle }
        }
        Ok(fitting)
    }

    /// Whose data it is about.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// How much may be spent.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Everything that was reserved.
    #[must_use]
    pub const fn total(&self) -> &Composition {
        &self.total
    }

    /// Releases that were reserved.
    #[must_use]
    pub const fn reserved(&self) -> u64 {
        self.counts.reserved
    }

    /// Of those, the ones that were released for certain.
    #[must_use]
    pub const fn committed(&self) -> u64 {
        self.counts.committed
    }

    /// Releases that would have exceeded the budget.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.counts.refused
    }

    /// Lines that were cut off, each counted as the costliest release.
    #[must_use]
    pub const fn torn(&self) -> u64 {
        self.counts.torn
    }
}

/// The bytes before the first line break, if there is one.
fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    bytes.get(..end)
}

fn without_break(line: &str) -> &[u8] {
    line.strip_suffix('\n').unwrap_or(line).as_bytes()
}
