use federated_core::{
    privacy::{
        dp::{
            Accountant, Composition, Delta, Epsilon,
            ledger::{Adjacency, Budget, Granted, KeptError, KeptLedger, Ledger, PrivacyUnit, ReserveError},
        },
        secagg::SigningSecret,
    },
    time::Timestamp,
};

use super::{
    disk::{Dice, Disk, Moment, PowerCut},
    truth::{Truth, Violation},
};

const NOW: Timestamp = Timestamp::from_millis(0);

/// What can be released: a name and what it spends.
pub(crate) type Release = (&'static str, Composition);

/// Why a machine did not do what it was to do.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Its power went; it has started again.
    Cut,
    /// Its limit does not allow it.
    Refused,
    Violation(Violation),
}

/// A machine with a ledger.
pub(crate) struct Machine {
    pub(crate) disk: Disk,
    pub(crate) truth: Truth,
    budget: Budget,
    releases: Vec<Release>,
    /// Nothing until the first line has its file's name.
    ledger: Option<KeptLedger<Disk>>,
    created: bool,
    dice: Dice,
}

impl Machine {
    pub(crate) fn new(
        name: &str,
        (epsilon, accountant): (f64, Accountant),
        releases: &[Release],
        mut dice: Dice,
        lies: bool,
    ) -> Self {
        let (unit, adjacency) = (PrivacyUnit::Record, Adjacency::AddRemove);
        let (epsilon, delta) = (Epsilon::new(epsilon).expect("a limit"), Delta::new(1e-5).expect("a delta"));
        Self {
            disk: Disk::new(lies, dice.below(24)),
            truth: Truth::new(name, accountant, delta),
            budget: Budget { unit, adjacency, epsilon, delta, accountant },
            releases: releases.to_vec(),
            ledger: None,
            created: false,
            dice,
        }
    }

    fn key() -> SigningSecret {
        SigningSecret::from_seed([7; 32].into())
    }

    /// Opens the ledger as it is on disk, as often as the power lets it.
    pub(crate) fn start(&mut self) -> Result<(), Stopped> {
        loop {
            match self.try_start() {
                Err(Stopped::Cut) => self.disk.power_back(&mut self.dice),
                done => return done,
            }
        }
    }

    fn try_start(&mut self) -> Result<(), Stopped> {
        let mut kept = if self.created {
            self.disk.mending(true);
            let kept = KeptLedger::reopen(&self.disk.read(), Self::key(), self.disk.clone(), NOW);
            self.disk.mending(false);
            kept.map_err(|error| self.stopped(error))?
        } else {
            self.disk.clear();
            let name = self.truth.machine.clone();
            let kept = KeptLedger::create(&name, self.budget, Self::key(), self.disk.clone(), NOW);
            let kept = kept.map_err(|error| self.stopped(error))?;
            self.created = true;
            kept
        };
        // Its owner raises or lowers the limit now and then.
        if self.dice.one_in(6) {
            let factor = [0.5, 1.25, 2.0][usize::try_from(self.dice.below(3)).expect("one of three")];
            let epsilon = (self.budget.epsilon.get() * factor).clamp(0.5, 8.0);
            let budget = Budget { epsilon: Epsilon::new(epsilon).expect("a limit"), ..self.budget };
            kept.rebudget(&budget, NOW).map_err(|error| self.stopped(error))?;
        }
        for (release, charge) in &self.releases {
            kept.plan(release, charge, NOW).map_err(|error| self.stopped(error))?;
        }
        self.budget = *kept.ledger().budget();
        self.check(&kept).map_err(Stopped::Violation)?;
        self.ledger = Some(kept);
        Ok(())
    }

    /// What is on disk is what is in memory, and no less than what was released.
    fn check(&self, kept: &KeptLedger<Disk>) -> Result<(), Violation> {
        let verified = Ledger::verify(&self.disk.read(), &kept.public());
        if verified.as_ref() != Ok(kept.ledger()) {
            let why = verified.err().map_or_else(|| "it differs".to_owned(), |error| error.to_string());
            return Err(Violation::Ledger { machine: self.truth.machine.clone(), why });
        }
        self.truth.check(kept.ledger())
    }

    fn stopped(&self, error: KeptError<PowerCut>) -> Stopped {
        match error {
            KeptError::Append(PowerCut) => Stopped::Cut,
            other => Stopped::Violation(Violation::Ledger {
                machine: self.truth.machine.clone(),
                why: other.to_string(),
            }),
        }
    }

    fn kept(&mut self) -> &mut KeptLedger<Disk> {
        self.ledger.as_mut().expect("a machine that was started")
    }

    /// How often its limit did not allow something.
    pub(crate) fn refused(&self) -> u64 {
        self.ledger.as_ref().map_or(0, |kept| kept.ledger().refused())
    }

    /// After a loss of power: starts again, and is told so.
    pub(crate) fn again(&mut self, stopped: Stopped) -> Stopped {
        if !matches!(stopped, Stopped::Cut) {
            return stopped;
        }
        self.ledger = None;
        self.disk.power_back(&mut self.dice);
        self.start().err().unwrap_or(Stopped::Cut)
    }

    pub(crate) fn reserve(&mut self, release: &str, occasion: &str) -> Result<Granted, Stopped> {
        let refused_before = self.kept().ledger().refused();
        match self.kept().reserve(release, occasion, NOW) {
            Ok(granted) => {
                self.disk.pass(Moment::Reserved).map(|()| granted).map_err(|PowerCut| Stopped::Cut)
            }
            Err(ReserveError::OverBudget(_)) => {
                assert_eq!(self.kept().ledger().refused(), refused_before + 1, "a refusal is written down");
                Err(Stopped::Refused)
            }
            Err(ReserveError::Kept(error)) => Err(self.stopped(error)),
            Err(other) => panic!("{other}"),
        }
    }

    /// Something leaves the machine.
    pub(crate) fn release(&mut self, release: &str, occasion: &str, granted: Granted) -> Result<(), Stopped> {
        let charge = &self.releases.iter().find(|(name, _)| *name == release).expect("a release").1;
        let durable = self.disk.durable();
        let out = self.truth.release((release, occasion), charge, &durable, self.budget.epsilon.get());
        out.map_err(Stopped::Violation)?;
        self.disk.pass(Moment::Released).map_err(|PowerCut| Stopped::Cut)?;
        let committed = self.kept().commit(granted, NOW);
        committed.map_err(|error| self.stopped(error))
    }

    /// After a restart: what was released before is sent again, the same bytes, and committed.
    pub(crate) fn send_again(&mut self, release: &str, occasion: &str) -> Result<(), Stopped> {
        if self.truth.has(release, occasion) && self.dice.one_in(2) {
            let committed = self.kept().commit_earlier(release, occasion, NOW);
            committed.map_err(|error| self.stopped(error))?;
        }
        Ok(())
    }
}
