//! A ledger and the place where its lines are kept: each is durable before anything is done that it says.

use super::{Budget, Granted, Ledger, LedgerError, OverBudget, Reservation};
use crate::{
    fault::Fault,
    privacy::{
        dp::Composition,
        secagg::{SigningSecret, VerifyingPublic},
    },
    time::Timestamp,
};

#[cfg(test)]
mod tests;

/// Where the lines of a ledger are kept: a file that only grows.
pub trait Append {
    /// Why bytes cannot be kept.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Adds bytes to the end. They are durable when it returns: a loss of power takes none of them.
    ///
    /// # Errors
    /// When that is not certain. Any part of the bytes may be there then.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// Why a ledger that is kept cannot be written on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeptError<E> {
    /// The ledger is damaged, or what was asked of it does not fit.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A line could not be made durable.
    #[error("a line of the ledger is not certain to be kept, so nothing may be released: {0}")]
    Append(#[source] E),
    /// Some line before could not be made durable, so the end of the ledger is not known.
    #[error(
        "expected a ledger whose end is known, found one of which an earlier line was not certain to be kept: open it again, \
         once its place can be written"
    )]
    EndUnknown,
}

/// Why nothing may be released.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveError<E> {
    /// It would exceed the budget. The refusal is written down.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// The ledger does not do what was asked.
    #[error(transparent)]
    Kept(#[from] KeptError<E>),
}

impl<E> KeptError<E> {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Ledger(error) => error.fault(),
            Self::Append(_) | Self::EndUnknown => Fault::Environment,
        }
    }
}

impl<E> ReserveError<E> {
    /// Whose fault it is: a budget that is spent is as its owner configured it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::OverBudget(_) => Fault::Caller,
            Self::Kept(error) => error.fault(),
        }
    }
}

/// A ledger, its owner's key, and the place where its lines are kept.
///
/// Every method appends its line, durably, before the ledger in memory changes and before it returns. Once an append has
/// failed nothing more is written: the ledger must be read again from where it is kept.
///
/// # Examples
/// ```
/// use federated_core::{
///     privacy::{dp::ledger::{Adjacency, Append, Budget, KeptLedger, PrivacyUnit}, dp::*, secagg::SigningSecret},
///     time::Timestamp,
/// };
///
/// struct Memory(Vec<u8>);
///
/// impl Append for Memory {
///     type Error = std::io::Error;
///     fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
///         self.0.extend(bytes);
///         Ok(())
///     }
/// }
///
/// let budget = Budget {
///     unit: PrivacyUnit::Record,
///     adjacency: Adjacency::AddRemove,
///     epsilon: Epsilon::new(8.0)?,
///     delta: Delta::new(1e-5)?,
///     accountant: Accountant::Pld,
/// };
/// let (signing, at) = (SigningSecret::from_seed([7; 32].into()), Timestamp::from_millis(0));
/// let step = MechanismStep {
///     noise_multiplier: NoiseMultiplier::new(1.0)?,
///     sampling_rate: SamplingRate::new(0.01)?,
///     rounds: 20.try_into()?,
/// };
///
/// let mut ledger = KeptLedger::create("cleveland", budget, signing, Memory(Vec::new()), at)?;
/// ledger.plan("job heart", &step.into(), at)?;
/// let granted = ledger.reserve("job heart", "round 1 attempt 1", at)?;
/// // Train, and send the update.
/// ledger.commit(granted, at)?;
/// assert_eq!(ledger.ledger().committed(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct KeptLedger<A> {
    ledger: Ledger,
    signing: SigningSecret,
    append: A,
    end_known: bool,
}

impl<A: Append> KeptLedger<A> {
    /// Begins a ledger where nothing is kept yet.
    ///
    /// # Errors
    /// [`KeptError`] when the first line cannot be kept.
    pub fn create(
        subject: &str,
        budget: Budget,
        signing: SigningSecret,
        mut append: A,
        at: Timestamp,
    ) -> Result<Self, KeptError<A::Error>> {
        let (ledger, line) = Ledger::open(subject, budget, &signing, at)?;
        append.append(line.as_bytes()).map_err(KeptError::Append)?;
        Ok(Self { ledger, signing, append, end_known: true })
    }

    /// Goes on with a ledger of which these are the bytes. A last line that was cut off is noted, and counts as spent.
    ///
    /// # Errors
    /// [`KeptError`] when the ledger is damaged, or the note cannot be kept.
    pub fn reopen(
        bytes: &[u8],
        signing: SigningSecret,
        append: A,
        at: Timestamp,
    ) -> Result<Self, KeptError<A::Error>> {
        let (ledger, tail) = Ledger::read(bytes, &signing.public())?;
        let mut kept = Self { ledger, signing, append, end_known: true };
        if let Some(tail) = tail {
            let (next, line) = kept.ledger.clone().mend(&tail, &kept.signing, at)?;
            kept.keep(next, &line)?;
        }
        Ok(kept)
    }

    /// Sets the limit that holds from here on, as [`Ledger::rebudget`].
    ///
    /// # Errors
    /// [`KeptError`] when it is counted in another way, or cannot be kept.
    pub fn rebudget(&mut self, budget: &Budget, at: Timestamp) -> Result<(), KeptError<A::Error>> {
        let (next, line) = self.current()?.rebudget(budget, &self.signing, at)?;
        self.keep_any(next, line)
    }

    /// Says what each release of this name spends, as [`Ledger::plan`].
    ///
    /// # Errors
    /// [`KeptError`] when it was said otherwise before, or cannot be kept.
    pub fn plan(
        &mut self,
        release: &str,
        charge: &Composition,
        at: Timestamp,
    ) -> Result<(), KeptError<A::Error>> {
        let (next, line) = self.current()?.plan(release, charge, &self.signing, at)?;
        self.keep_any(next, line)
    }

    /// Reserves one release. Only once this has returned may anything of it be computed.
    ///
    /// # Errors
    /// [`ReserveError::OverBudget`] when the budget does not allow it, which is written down by then; otherwise
    /// [`ReserveError::Kept`]. Nothing may be released in either case.
    pub fn reserve(
        &mut self,
        release: &str,
        occasion: &str,
        at: Timestamp,
    ) -> Result<Granted, ReserveError<A::Error>> {
        let reservation = self.current()?.reserve(release, occasion, &self.signing, at);
        match reservation.map_err(KeptError::from)? {
            Reservation::Granted { ledger, line, granted } => {
                self.keep(ledger, &line)?;
                Ok(granted)
            }
            Reservation::Refused { ledger, line, error } => {
                self.keep(ledger, &line)?;
                Err(error.into())
            }
        }
    }

    /// Notes that what was reserved has been released.
    ///
    /// # Errors
    /// [`KeptError`] when it cannot be kept. It stays spent.
    pub fn commit(&mut self, granted: Granted, at: Timestamp) -> Result<(), KeptError<A::Error>> {
        let (next, line) = self.current()?.commit(granted, &self.signing, at)?;
        self.keep(next, &line)
    }

    /// Notes that what was reserved before a restart has been released, as [`Ledger::commit_earlier`]; gives whether a
    /// reservation of that occasion was open.
    ///
    /// # Errors
    /// [`KeptError`] when it cannot be kept. It stays spent.
    pub fn commit_earlier(
        &mut self,
        release: &str,
        occasion: &str,
        at: Timestamp,
    ) -> Result<bool, KeptError<A::Error>> {
        let (next, line) = self.current()?.commit_earlier(release, occasion, &self.signing, at)?;
        let open = line.is_some();
        self.keep_any(next, line).map(|()| open)
    }

    /// What was spent so far.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// With which anyone can check the lines.
    pub const fn public(&self) -> VerifyingPublic {
        self.signing.public()
    }

    /// The ledger to go on with, if its end is known.
    fn current(&self) -> Result<Ledger, KeptError<A::Error>> {
        if self.end_known { Ok(self.ledger.clone()) } else { Err(KeptError::EndUnknown) }
    }

    fn keep_any(&mut self, next: Ledger, line: Option<String>) -> Result<(), KeptError<A::Error>> {
        line.map_or(Ok(()), |line| self.keep(next, &line))
    }

    fn keep(&mut self, next: Ledger, line: &str) -> Result<(), KeptError<A::Error>> {
        // Until it is durable: a panic on the way leaves it unknown too.
        self.end_known = false;
        self.append.append(line.as_bytes()).map_err(KeptError::Append)?;
        self.end_known = true;
        self.ledger = next;
        Ok(())
    }
}
