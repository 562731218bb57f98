//! What a site's own ledger says to a task: nothing is computed from records before it is written down what that spends.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use federated_core::{
    fault::{Fault, ReasonCode},
    ids::{ParticipantName, TaskId},
    privacy::dp::{
        ledger::{KeptError, OverBudget, ReserveError},
        terms::PrivacyTerms,
    },
    task::TrainTask,
};

use crate::{
    config::SiteBudget,
    privacy::{SiteLedger, SiteLedgerError, WriteError},
};

/// Why a task is not begun.
#[derive(Debug, thiserror::Error)]
pub(super) enum BooksError {
    /// There is nothing to count with.
    #[error(
        "the task spends of this site's privacy budget, and participant.toml has no [privacy] with epsilon and delta"
    )]
    NoBudget,
    /// It would exceed the site's own limit.
    #[error(transparent)]
    OverBudget(OverBudget),
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(KeptError<WriteError>),
}

impl BooksError {
    /// Whose fault it is.
    pub(super) const fn fault(&self) -> Fault {
        match self {
            Self::NoBudget | Self::OverBudget(_) => Fault::Caller,
            Self::Ledger(error) => error.fault(),
        }
    }

    /// What the coordinator is told.
    pub(super) const fn reason(&self) -> ReasonCode {
        ReasonCode::new(match self {
            Self::NoBudget => "PRIVACY_NO_BUDGET",
            Self::OverBudget(_) => "PRIVACY_BUDGET",
            Self::Ledger(_) => "PRIVACY_LEDGER",
        })
    }

    /// What the coordinator may read: nothing of this machine, and nothing of what other jobs spent.
    pub(super) const fn told(&self) -> &'static str {
        match self {
            Self::NoBudget => "this site has no privacy budget",
            Self::OverBudget(_) => "this site's privacy budget does not pay for the task",
            Self::Ledger(_) => "this site's privacy ledger cannot be written; its log says more",
        }
    }
}

/// The site's ledger, for the thread that trains and the session that hears of receipts.
#[derive(Clone, Debug)]
pub(crate) struct Books(Option<Arc<Mutex<SiteLedger>>>);

impl Books {
    /// Those of a site that has none: it declines whatever spends.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self(None);

    /// Those of a site with this limit; one without declines whatever spends.
    pub(crate) fn open(budget: Option<&SiteBudget>, name: &ParticipantName) -> Result<Self, SiteLedgerError> {
        let ledger =
            budget.map(|budget| SiteLedger::open(budget, name, SystemTime::now().into())).transpose()?;
        Ok(Self(ledger.map(|ledger| Arc::new(Mutex::new(ledger)))))
    }

    /// Writes down what a task spends, if it spends anything and the limit allows it. It is spent from then on.
    pub(super) fn reserve(&self, task: &TrainTask) -> Result<(), BooksError> {
        let Some(terms) = &task.privacy else { return Ok(()) };
        let mut ledger =
            self.0.as_ref().ok_or(BooksError::NoBudget)?.lock().unwrap_or_else(PoisonError::into_inner);
        let (release, at) = (release(task, terms), SystemTime::now().into());
        ledger.plan(&release, &terms.site_charge(), at).map_err(BooksError::Ledger)?;
        match ledger.reserve(&release, &task.id.to_string(), at) {
            Ok(_) => Ok(()),
            Err(ReserveError::OverBudget(error)) => Err(BooksError::OverBudget(error)),
            Err(ReserveError::Kept(error)) => Err(BooksError::Ledger(error)),
            Err(_) => Err(BooksError::Ledger(KeptError::EndUnknown)),
        }
    }

    /// Notes that what a task spent has left the site. Should that fail it stays spent.
    pub(super) fn released(&self, task: &TaskId) {
        let Some(ledger) = &self.0 else { return };
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let occasion = task.to_string();
        let open = ledger.ledger().uncommitted().find(|(_, open)| *open == occasion);
        let Some(release) = open.map(|(release, _)| release.to_owned()) else { return };
        if let Err(error) = ledger.commit_earlier(&release, &occasion, SystemTime::now().into()) {
            tracing::warn!(%task, %error, "the ledger does not say that the update was delivered; it counts as spent");
        }
    }
}

/// The name of what a job's tasks release: with the numbers, as a job of the same name may come with others.
fn release(task: &TrainTask, terms: &PrivacyTerms) -> String {
    format!(
        "{} ({} noise {:.6}, rate {}, {} steps)",
        task.id.job,
        terms.placement(),
        terms.noise_multiplier().get(),
        terms.sampling_rate(),
        terms.steps()
    )
}
