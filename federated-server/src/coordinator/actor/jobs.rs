//! What operators want of jobs, and which jobs run: so many at a time, the others wait in the order of their start.

use std::{collections::BTreeSet, sync::Arc};

use federated_core::{
    config::JobConfig,
    ids::{Digest, JobName},
    job::{Entry, Job, JobEvent, JobTerms},
    round::{Event, Hold, RoundPhase, RunEnd},
};
use federated_proto::{convert::ModelContent, v1};

use super::{Actor, blocking};
use crate::{
    coordinator::{CoordinatorError, message::Order, status},
    store::StoreError,
};

impl Actor {
    pub(super) fn start(&mut self, config: JobConfig, model: ModelContent) -> Result<(), CoordinatorError> {
        let name = config.plan.job().clone();
        if self.jobs.contains_key(&name) {
            return Err(CoordinatorError::JobExists { job: name });
        }
        if let Some(terms) = &config.privacy {
            terms.check_grid(model.layout.elements(), config.plan.rounds())?;
            if self.signing.is_none() {
                return Err(CoordinatorError::NoSigningKey { job: name });
            }
        }
        tracing::info!(job = %name, rounds = %config.plan.rounds(), "starts");
        let terms = JobTerms::new(config, model.layout, model.digest);
        if terms.plan.secure().is_some() && self.signing.is_none() {
            tracing::warn!(job = %name, "no signing_key in coordinator.toml: participants get no signed results");
        }
        let (present, at) = (self.sessions.present(), self.clock.now());
        let job = Job::new(terms.clone(), present.clone(), at);
        let event = JobEvent::Created { terms: Box::new(terms), present };
        self.journal.push(&name, &Entry { at, event })?;
        self.jobs.insert(name.clone(), job);
        self.round(&name, Event::Held(Hold::Queued));
        Ok(())
    }

    pub(super) fn order(
        &mut self,
        name: &JobName,
        order: Order,
        operator: String,
    ) -> Result<(), CoordinatorError> {
        let (job, run) = (name.clone(), self.job(name)?.run());
        let event = match order {
            Order::Stop | Order::Pause | Order::Resume if run.has_ended() => {
                return Err(CoordinatorError::JobEnded { job });
            }
            Order::Stop => Event::StopRequested { operator },
            Order::Pause => Event::Held(Hold::Paused { operator }),
            Order::Resume if matches!(run.hold(), Some(Hold::Paused { .. })) => Event::Held(Hold::Queued),
            Order::Resume => return Err(CoordinatorError::JobNotPaused { job }),
            Order::Retry => {
                let RoundPhase::Ended(RunEnd::Failed { .. } | RunEnd::Stopped { .. }) = run.phase() else {
                    return Err(CoordinatorError::JobNotFailed { job });
                };
                self.round(name, Event::Held(Hold::Queued));
                Event::RetryRequested { operator, present: self.sessions.present() }
            }
        };
        tracing::info!(job = %name, ?order, "as an operator wants");
        self.round(name, event);
        Ok(())
    }

    /// Lets jobs that wait begin, oldest first, as long as there are places.
    pub(super) fn schedule(&mut self) {
        loop {
            let open = |job: &&Job| !job.run().has_ended();
            let running = self.jobs.values().filter(open).filter(|job| job.run().hold().is_none()).count();
            let queued =
                self.jobs.values().filter(open).filter(|job| job.run().hold() == Some(&Hold::Queued));
            let next = queued.min_by_key(|job| (job.started(), job.name())).map(|job| job.name().clone());
            let Some(next) = next.filter(|_| running < self.rules.active.get()) else { return };
            self.round(&next, Event::Released);
        }
    }

    /// Removes what a crash kept from being removed: updates of jobs that have ended, and models that nobody needs. A
    /// journal without any job may be the wrong one, and says nothing about what is needed.
    pub(super) fn sweep(&self) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let ended = self.jobs.values().filter(|job| job.run().has_ended());
        let ended: Vec<JobName> = ended.map(|job| job.name().clone()).collect();
        let models = self.jobs.values().flat_map(|job| [job.terms().initial_model, job.run().model()]);
        let (models, store) = (models.collect::<BTreeSet<Digest>>(), Arc::clone(&self.store));
        blocking(move || {
            if models.is_empty() {
                return Ok(());
            }
            ended.iter().try_for_each(|job| store.remove_job_updates(job))?;
            store.retain_models(&models)
        })
    }

    /// Forgets jobs that ended long enough ago, with their logs and models.
    pub(super) async fn retire(&mut self) {
        let Some(keep) = self.rules.keep else { return };
        let now = self.clock.now();
        let old = self.jobs.values().filter(|job| job.run().has_ended() && now >= job.last().after(keep));
        for name in old.map(|job| job.name().clone()).collect::<Vec<_>>() {
            if let Err(error) = self.journal.remove(&name).await {
                tracing::warn!(job = %name, %error, "an old job cannot be removed; tries again later");
                return;
            }
            tracing::info!(job = %name, ?keep, "ended long ago and is forgotten");
            let Some(job) = self.jobs.remove(&name) else { continue };
            let unneeded = [job.terms().initial_model, job.run().model()];
            for model in unneeded.into_iter().filter(|model| !self.jobs.values().any(|job| job.needs(*model)))
            {
                let store = Arc::clone(&self.store);
                if let Err(error) = blocking(move || store.remove_model(model)).await {
                    tracing::warn!(%model, %error, "cannot remove what is no longer needed");
                }
            }
        }
    }

    pub(super) fn report(&mut self, only: Option<JobName>) -> Result<v1::StatusReport, CoordinatorError> {
        for (name, bytes) in std::mem::take(&mut self.downloads) {
            self.event(&name, JobEvent::Downloaded { bytes });
        }
        let mut jobs: Vec<&Job> = match &only {
            Some(name) => vec![self.job(name)?],
            None => self.jobs.values().collect(),
        };
        jobs.sort_by_key(|job| job.started());
        let jobs = jobs.into_iter().map(status::report).collect();
        Ok(v1::StatusReport {
            present: self.sessions.present().iter().map(ToString::to_string).collect(),
            jobs,
            at_ms: self.clock.now().as_millis(),
        })
    }
}
