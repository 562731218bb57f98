//! What the attempts of a job spend of its privacy budget: written down, durably, before anyone is asked to begin.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use federated_core::{
    ids::{JobName, TaskId},
    privacy::{dp::terms::PrivacyTerms, secagg::SigningSecret},
    round::{AbandonReason, Command, Event, RoundSummary},
    time::Timestamp,
};
use zeroize::Zeroizing;

use super::{Actor, blocking};
use crate::store::JobLedger;

/// What every attempt is called in a ledger.
const RELEASE: &str = "round";

/// The ledgers of jobs with differential privacy, and which attempts are paid for.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    ledgers: BTreeMap<JobName, Arc<Mutex<JobLedger>>>,
    paid: BTreeMap<JobName, TaskId>,
}

impl Actor {
    /// Pays for each attempt of which somebody is about to hear. One that the budget does not pay for ends its job, before
    /// anyone was asked.
    pub(super) async fn pay(&mut self) {
        let due: BTreeSet<TaskId> = self
            .commands
            .iter()
            .filter_map(|(_, command)| match command {
                Command::Dispatch { task, .. } => Some(task.clone()),
                _ => None,
            })
            .collect();
        for task in due {
            let Some(terms) = self.jobs.get(&task.job).and_then(|job| job.terms().privacy) else { continue };
            if self.budgets.paid.get(&task.job) == Some(&task) {
                continue;
            }
            let job = task.job.clone();
            match self.reserve(&task, terms).await {
                Ok(()) => drop(self.budgets.paid.insert(job, task)),
                Err(reason) => {
                    // One that could not be written is read again, should the job be retried.
                    self.budgets.ledgers.remove(&job);
                    tracing::error!(%task, reason, "the attempt is not begun");
                    self.round(&job, Event::BudgetRefused { task, reason });
                }
            }
        }
    }

    /// Reserves an attempt in its job's ledger, unless it was reserved before a restart.
    async fn reserve(&mut self, task: &TaskId, terms: PrivacyTerms) -> Result<(), String> {
        let at = self.clock.now();
        let ledger = self.ledger(&task.job, terms, at).await?;
        let occasion = task.to_string();
        let reserved = blocking(move || {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            if ledger.ledger().uncommitted().any(|(release, open)| release == RELEASE && open == occasion) {
                return Ok(Ok(()));
            }
            let planned = ledger.plan(RELEASE, &terms.charge(), at).map_err(|error| error.to_string());
            let reserved = planned.and_then(|()| {
                ledger.reserve(RELEASE, &occasion, at).map(drop).map_err(|error| error.to_string())
            });
            Ok(reserved)
        });
        reserved.await.map_err(|error| error.to_string()).flatten()
    }

    /// The ledger of a job, which is opened when it is first needed.
    async fn ledger(
        &mut self,
        job: &JobName,
        terms: PrivacyTerms,
        at: Timestamp,
    ) -> Result<Arc<Mutex<JobLedger>>, String> {
        if let Some(ledger) = self.budgets.ledgers.get(job) {
            return Ok(Arc::clone(ledger));
        }
        let budget = terms.budget();
        let key = self.signing.as_ref().map(|key| SigningSecret::from_seed(Zeroizing::new(*key.seed())));
        let key = key.ok_or_else(|| {
            "there is no signing_key in coordinator.toml to sign its ledger with".to_owned()
        })?;
        let (store, name) = (Arc::clone(&self.store), job.clone());
        // One that is gone after an attempt that was paid for would begin anew: then nothing may be released.
        let paid =
            |round: &Arc<RoundSummary>| !matches!(round.outcome, Err(AbandonReason::PrivacyBudget { .. }));
        let begun = self.jobs.get(job).is_some_and(|job| job.run().history().iter().any(paid));
        let open = if begun { JobLedger::reopen } else { JobLedger::open };
        let opened = blocking(move || Ok(open(&store, &name, budget, key, at))).await;
        let ledger = opened.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let ledger = Arc::new(Mutex::new(ledger));
        self.budgets.ledgers.insert(job.clone(), Arc::clone(&ledger));
        Ok(ledger)
    }

    /// Notes that the model of an attempt was published. Should that fail it stays spent.
    pub(super) fn note_released(&self, task: &TaskId, at: Timestamp) {
        let Some(ledger) = self.budgets.ledgers.get(&task.job).map(Arc::clone) else { return };
        let task = task.clone();
        tokio::task::spawn_blocking(move || {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = ledger.commit_earlier(RELEASE, &task.to_string(), at) {
                tracing::warn!(%task, %error, "the ledger does not say that the round was released; it counts as spent");
            }
        });
    }
}
