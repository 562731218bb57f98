//! What a ledger's lines add up to, against its limit.

use super::{Ledger, LedgerError, OverBudget};
use crate::privacy::dp::{Accountant, AccountantError, Composition, MechanismStep, RdpCurve, Spent};

/// What was counted of a ledger as it is, so that it is not counted again. It says nothing that the lines do not.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    /// The epsilon of everything.
    pub(super) spent: Option<f64>,
    /// The release that was refused last, and the epsilon that there would be; none: no finite one.
    refused: Option<(String, Option<f64>)>,
}

impl PartialEq for Counted {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Whether one more of a release is granted.
pub(super) enum Decision {
    /// With what will be spent then, if it was counted.
    Granted(Option<f64>),
    Refused(OverBudget),
}

impl Ledger {
    /// What is spent: everything that was reserved.
    ///
    /// # Errors
    /// [`AccountantError`] when it cannot be counted.
    pub fn spent(&self) -> Result<Spent, AccountantError> {
        let (accountant, delta) = (self.budget.accountant, self.budget.delta);
        match self.counted.spent {
            Some(epsilon) => Ok(Spent { epsilon, delta, accountant }),
            None => accountant.epsilon(&self.total, delta),
        }
    }

    /// How many more of a release the budget allows, if nothing else is released. With the accountant `pld` it takes seconds;
    /// [`left_at_least`](Self::left_at_least) is quick.
    ///
    /// # Errors
    /// [`LedgerError::Unplanned`] for one that was not planned.
    pub fn left(&self, release: &str) -> Result<u32, LedgerError> {
        let quick = self.left_at_least(release)?;
        if self.budget.accountant == Accountant::Rdp {
            return Ok(quick);
        }
        // The closer accountants allow some more, rarely twice as many: asked in large steps, as one answer takes long.
        let first = (quick / 16).max(1);
        let beyond = |more: u32| -> Result<bool, LedgerError> {
            let Some(times) = quick.checked_add(more) else { return Ok(false) };
            Ok(self.with(release, times)?.is_some_and(|total| self.allows(&total)))
        };
        Ok(quick.saturating_add(most(first, beyond)?))
    }

    /// A number that is not above [`left`](Self::left), from a bound that takes milliseconds.
    ///
    /// # Errors
    /// [`LedgerError::Unplanned`] for one that was not planned.
    pub fn left_at_least(&self, release: &str) -> Result<u32, LedgerError> {
        most(1, |times| Ok(self.with(release, times)?.is_some_and(|total| self.surely(&total))))
    }

    /// Everything with so many more of a release; nothing when there are too many to count.
    pub(super) fn with(&self, release: &str, times: u32) -> Result<Option<Composition>, LedgerError> {
        let planned = self
            .planned
            .get(release)
            .ok_or_else(|| LedgerError::Unplanned { release: release.to_owned() })?;
        let mut total = self.total.clone();
        for step in planned.charge.steps() {
            let rounds = step.rounds.get().checked_mul(times).and_then(|rounds| rounds.try_into().ok());
            let Some(rounds) = rounds else { return Ok(None) };
            total.push(MechanismStep { rounds, ..*step });
        }
        Ok(Some(total))
    }

    /// Whether all of this is within the budget.
    fn allows(&self, total: &Composition) -> bool {
        self.surely(total) || self.counted(total).is_some_and(|epsilon| epsilon <= self.budget.epsilon.get())
    }

    /// Whether it is by a bound that takes no time: by Rényi divergences, which never say less than was spent.
    fn surely(&self, total: &Composition) -> bool {
        RdpCurve::of(total).epsilon(self.budget.delta).epsilon <= self.budget.epsilon.get()
    }

    /// The epsilon, where there is one.
    fn counted(&self, total: &Composition) -> Option<f64> {
        self.budget.accountant.epsilon(total, self.budget.delta).ok().map(|spent| spent.epsilon)
    }

    /// Whether the budget allows one more of a release.
    pub(super) fn decide(&mut self, release: &str) -> Result<Decision, LedgerError> {
        let total = self.with(release, 1)?;
        if total.as_ref().is_some_and(|total| self.surely(total)) {
            return Ok(Decision::Granted(None));
        }
        let (limit, delta) = (self.budget.epsilon, self.budget.delta);
        let would_be = match &self.counted.refused {
            Some((before, would_be)) if before == release => *would_be,
            _ => total.and_then(|total| self.counted(&total)),
        };
        if would_be.is_some_and(|epsilon| epsilon <= limit.get()) {
            return Ok(Decision::Granted(would_be));
        }
        let spent = self.counted.spent.or_else(|| self.counted(&self.total));
        let release = release.to_owned();
        self.counted = Counted { spent, refused: Some((release.clone(), would_be)) };
        let spent = spent.unwrap_or(f64::INFINITY);
        Ok(Decision::Refused(OverBudget { release, limit, delta, spent, would_be }))
    }

    /// The planned release that spends most, of those that the budget allows by themselves: no other can have been granted.
    pub(super) fn costliest(&self) -> Composition {
        let cost = |charge: &Composition| RdpCurve::of(charge).epsilon(self.budget.delta).epsilon;
        let mut charges: Vec<(f64, &Composition)> =
            self.planned.values().map(|planned| (cost(&planned.charge), &planned.charge)).collect();
        charges.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let found = charges.into_iter().find(|(_, charge)| self.allows(charge));
        found.map_or(Composition::EMPTY, |(_, charge)| charge.clone())
    }
}

/// The most for which something holds that holds for all below it; 0 if it does not hold for `first` and below.
fn most(first: u32, mut holds: impl FnMut(u32) -> Result<bool, LedgerError>) -> Result<u32, LedgerError> {
    let (mut within, mut beyond) = (0, first);
    while holds(beyond)? {
        within = beyond;
        let Some(next) = beyond.checked_mul(2) else { return Ok(u32::MAX) };
        beyond = next;
    }
    while beyond - within > 1 {
        let middle = within + (beyond - within) / 2;
        if holds(middle)? { within = middle } else { beyond = middle }
    }
    Ok(within)
}
