use std::collections::BTreeMap;

use super::{
    Budget, LedgerError, OverBudget, Record, TornTail,
    line::{self, Link},
    read::CUT_OFF,
    release::{Counts, Occasion, ReleaseStory},
    spent::{Counted, Decision},
};
use crate::{
    ids::Fingerprint,
    privacy::{
        dp::{Accountant, Composition},
        secagg::SigningSecret,
    },
    time::Timestamp,
};

/// What was spent of a budget, as the lines of a ledger give it.
///
/// It is plain data: whoever keeps it appends each line that a method gives to a file, makes it durable, and only then goes
/// on with the state that came with it, and does what the line says. [`KeptLedger`](super::KeptLedger) does so.
///
/// # Privacy
/// What is reserved is spent, whether it is released or not: a crash between the two cannot give anything back.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    pub(super) subject: String,
    pub(super) budget: Budget,
    pub(super) link: Link,
    pub(super) last_at: Timestamp,
    pub(super) planned: BTreeMap<String, ReleaseStory>,
    /// Reserved and not committed, by the number of the line.
    pub(super) open: BTreeMap<u64, Occasion>,
    pub(super) total: Composition,
    pub(super) counts: Counts,
    pub(super) torn: u64,
    /// Forgotten when the total or the limit changes.
    pub(super) counted: Counted,
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
        let link = Link::first().after(without_break(&line));
        Ok((Self::opened(subject.to_owned(), budget, link, at), line))
    }

    pub(super) fn opened(subject: String, budget: Budget, link: Link, at: Timestamp) -> Self {
        let (planned, open) = (BTreeMap::new(), BTreeMap::new());
        let (total, counts, counted) = (Composition::EMPTY, Counts::default(), Counted::default());
        Self { subject, budget, link, last_at: at, planned, open, total, counts, torn: 0, counted }
    }

    /// What a record changes, and that it is the last one.
    pub(super) fn follow(
        &mut self,
        record: &Record,
        at: Timestamp,
        line: &[u8],
        after_cut_off: bool,
    ) -> Result<(), LedgerError> {
        self.apply(record, after_cut_off)?;
        self.link = self.link.after(line);
        self.last_at = at;
        Ok(())
    }

    fn apply(&mut self, record: &Record, after_cut_off: bool) -> Result<(), LedgerError> {
        let line = self.link.place();
        let story = |expected| LedgerError::Story { line, expected };
        match record {
            Record::Opened { .. } => return Err(story("one beginning")),
            Record::Rebudgeted { epsilon, delta } => {
                self.counted = Counted::default();
                (self.budget.epsilon, self.budget.delta) = (*epsilon, *delta);
            }
            Record::Planned { release, charge } => {
                if self.planned.contains_key(release) {
                    return Err(story("one plan for a release"));
                }
                self.planned.insert(release.clone(), ReleaseStory::planned(charge.clone()));
            }
            Record::Reserved { release, occasion } => {
                let planned =
                    self.planned.get_mut(release).ok_or(story("a release that was planned before"))?;
                self.counted = Counted::default();
                planned.charge.steps().iter().for_each(|step| self.total.push(*step));
                planned.counts.reserved += 1;
                self.counts.reserved += 1;
                let occasion = Occasion { release: release.clone(), occasion: occasion.clone() };
                self.open.insert(self.link.sequence, occasion);
            }
            Record::Committed { reservation } => {
                let Occasion { release, .. } =
                    self.open.remove(reservation).ok_or(story("a reservation that is open"))?;
                self.counts.committed += 1;
                self.planned.entry(release).and_modify(|planned| planned.counts.committed += 1);
            }
            Record::Refused { release, .. } => {
                let planned =
                    self.planned.get_mut(release).ok_or(story("a release that was planned before"))?;
                planned.counts.refused += 1;
                self.counts.refused += 1;
            }
            Record::Torn { .. } => {
                if !after_cut_off {
                    return Err(story("a line that was cut off before it"));
                }
                self.counted = Counted::default();
                self.costliest().steps().iter().for_each(|step| self.total.push(*step));
                self.torn += 1;
            }
        }
        Ok(())
    }

    fn appended(
        mut self,
        record: &Record,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, String), LedgerError> {
        let line = line::write(self.link, at, record, signing)?;
        self.follow(record, at, without_break(&line), true)?;
        Ok((self, line))
    }

    /// Notes that the last line was cut off. What it said is not known, so it counts as the costliest release that was planned
    /// and that the budget would allow by itself.
    ///
    /// The line is to be appended as it is, after what is left of the one before it.
    ///
    /// # Errors
    /// [`LedgerError`] when the line cannot be written.
    pub fn mend(
        self,
        tail: &TornTail,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, String), LedgerError> {
        // Marked, so that a line which lacks nothing but its break does not become whole.
        let cut_off = [tail.bytes(), CUT_OFF.as_bytes()].concat();
        let record =
            Record::Torn { bytes: cut_off.len() as u64, sha256: Fingerprint::of(&cut_off).to_string() };
        let (next, line) = self.appended(&record, signing, at)?;
        Ok((next, format!("{CUT_OFF}\n{line}")))
    }

    /// Sets the limit that holds from here on; what was spent stays spent. With the same limit it needs no line.
    ///
    /// # Errors
    /// [`LedgerError::OtherBudget`] when it is counted in another way: then the two limits cannot be compared.
    pub fn rebudget(
        self,
        budget: &Budget,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, Option<String>), LedgerError> {
        let Budget { epsilon, delta, .. } = *budget;
        let as_before = Budget { epsilon, delta, ..self.budget };
        if as_before != *budget {
            return Err(LedgerError::OtherBudget { expected: self.budget, found: *budget });
        }
        if as_before == self.budget {
            return Ok((self, None));
        }
        let record = Record::Rebudgeted { epsilon, delta };
        self.appended(&record, signing, at).map(|(next, line)| (next, Some(line)))
    }

    /// Says what each release of this name spends. Said again with the same charge, it needs no line.
    ///
    /// # Errors
    /// [`LedgerError::Replanned`] when it was said otherwise before; [`LedgerError::Accountant`] when the budget's accountant
    /// cannot count it.
    pub fn plan(
        self,
        release: &str,
        charge: &Composition,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, Option<String>), LedgerError> {
        match self.planned.get(release) {
            Some(before) if before.charge == *charge => return Ok((self, None)),
            Some(_) => return Err(LedgerError::Replanned { release: release.to_owned() }),
            None => {}
        }
        if self.budget.accountant == Accountant::Gaussian {
            self.budget.accountant.epsilon(charge, self.budget.delta)?;
        }
        let record = Record::Planned { release: release.to_owned(), charge: charge.clone() };
        self.appended(&record, signing, at).map(|(next, line)| (next, Some(line)))
    }

    /// Reserves one release, before anything of it is computed, if the budget allows it.
    ///
    /// # Errors
    /// [`LedgerError::Unplanned`] for one that was not planned.
    pub fn reserve(
        mut self,
        release: &str,
        occasion: &str,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<Reservation, LedgerError> {
        let decision = self.decide(release)?;
        let (release, occasion) = (release.to_owned(), occasion.to_owned());
        match decision {
            Decision::Granted(spent) => {
                let granted = Granted { reservation: self.link.sequence };
                let record = Record::Reserved { release, occasion };
                let (mut ledger, line) = self.appended(&record, signing, at)?;
                ledger.counted.spent = spent;
                Ok(Reservation::Granted { ledger, line, granted })
            }
            Decision::Refused(error) => {
                let record = Record::Refused { release, occasion, epsilon: error.would_be };
                let (ledger, line) = self.appended(&record, signing, at)?;
                Ok(Reservation::Refused { ledger, line, error })
            }
        }
    }

    /// Notes that what was reserved has been released.
    ///
    /// # Errors
    /// [`LedgerError::Story`] when this ledger has no such reservation.
    pub fn commit(
        self,
        granted: Granted,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, String), LedgerError> {
        self.appended(&Record::Committed { reservation: granted.reservation }, signing, at)
    }

    /// Notes that what was reserved before a restart has been released before or after it; nothing if no reservation of that
    /// occasion is open.
    ///
    /// It gives no [`Granted`]: a reservation allows one release, and nobody can tell after a crash whether it was made. To
    /// send the very same bytes again is no second release.
    ///
    /// # Errors
    /// [`LedgerError`] when the line cannot be written.
    pub fn commit_earlier(
        self,
        release: &str,
        occasion: &str,
        signing: &SigningSecret,
        at: Timestamp,
    ) -> Result<(Self, Option<String>), LedgerError> {
        let of_it = |open: &Occasion| open.release == release && open.occasion == occasion;
        let Some(reservation) = self.open.iter().rev().find_map(|(line, open)| of_it(open).then_some(*line))
        else {
            return Ok((self, None));
        };
        self.commit(Granted { reservation }, signing, at).map(|(next, line)| (next, Some(line)))
    }
}

fn without_break(line: &str) -> &[u8] {
    line.strip_suffix('\n').unwrap_or(line).as_bytes()
}
