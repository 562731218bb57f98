//! What each command of the round machine means outside of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use federated_core::{
    ids::{JobName, ParticipantName, TaskId},
    job::{Job, JobEvent},
    privacy::{
        dp::terms::Placement,
        secagg::{Groups, SumResult},
    },
    round::{Command, OutReason, Receipt, RoundPhase, RoundSummary},
};
use federated_proto::{
    v1::{self, directive::Kind},
    version::{MINOR_ENCODINGS, MINOR_PRIVACY, MINOR_SECURE_AGGREGATION},
};

use super::{
    Actor, blocking,
    combine::{CentralTerms, Combination},
};
use crate::coordinator::status;

/// The noise that the coordinator adds to the mean of a job's updates, if it is it who does.
fn central(job: &Job) -> Option<CentralTerms> {
    let terms = job.terms().privacy.filter(|terms| terms.placement() == Placement::Central)?;
    let asked = match job.run().phase() {
        RoundPhase::Aggregating { cohort_size, .. } => u32::try_from(*cohort_size).unwrap_or(u32::MAX),
        _ => return None,
    };
    Some(CentralTerms { terms, asked })
}

impl Actor {
    pub(super) fn carry_out(&mut self, name: &JobName, command: Command) {
        let Some(job) = self.jobs.get(name) else { return };
        match command {
            // What came in the same batch may have closed the round.
            Command::Dispatch { participant, task, deadline } if job.run().expects(&participant, &task) => {
                let minor = self.sessions.minor(&participant);
                let needed = if job.terms().privacy.is_some() {
                    Some(("differential privacy", MINOR_PRIVACY))
                } else {
                    job.terms().plan.secure().map(|_| ("secure aggregation", MINOR_SECURE_AGGREGATION))
                };
                if let Some((what, needed)) = needed.filter(|(_, needed)| minor < *needed) {
                    return self.speaks_too_little(participant, task, (what, needed, minor));
                }
                // An older participant would not see which encoding is asked for, and sends plain values.
                let encodings = minor >= MINOR_ENCODINGS;
                let task = job.task_for(&participant, encodings);
                let train = v1::TrainTask::new(&task, deadline.since(self.clock.now()));
                self.sessions.send(&participant, Kind::Train(train));
            }
            Command::Withdraw { participant, task, reason } => {
                let (id, reason) = (Some((&task).into()), reason.reason().to_string());
                let message = "the round goes on without this update".to_owned();
                self.sessions.send(&participant, Kind::Withdraw(v1::Withdraw { id, reason, message }));
            }
            Command::Tell { participant, task } => {
                let current = job.run().task() == task;
                for told in job.run().told(&participant).into_iter().filter(|_| current) {
                    let (task, message) = (Some((&task).into()), Some((&told).into()));
                    self.sessions.send(&participant, Kind::Secure(v1::SecureDirective { task, message }));
                }
            }
            Command::TellResult { participants, result } => self.tell_result(&participants, result),
            Command::Aggregate { task, contributions, session } => {
                self.aggregate(job, task, contributions, session);
            }
            Command::RoundEnded(summary) => self.round_ended(name, &summary),
            Command::Finished(end) => {
                tracing::info!(job = %name, ?end, "ended");
                self.announce_end(name);
                self.remove_updates(name.clone());
            }
            _ => {}
        }
    }

    /// Tells these participants what came of a sum, signed; without a key there is nothing that they could rely on.
    pub(super) fn tell_result(&self, participants: &BTreeSet<ParticipantName>, result: SumResult) {
        let Some(key) = &self.signing else { return };
        let directive = v1::SecureDirective::from(&result.sign(key));
        for participant in participants {
            self.sessions.send(participant, Kind::Secure(directive.clone()));
        }
    }

    /// A participant of an older version does not know what protects its update, and would send it without.
    fn speaks_too_little(
        &mut self,
        participant: ParticipantName,
        task: TaskId,
        (what, needed, found): (&str, u32, u32),
    ) {
        let message =
            format!("expected minor version {needed} for {what}, found {found}; update the participant");
        let reason = OutReason::Refused { code: "VERSION_UNSUPPORTED".to_owned(), message };
        self.failed(participant, task, reason);
    }

    fn aggregate(
        &self,
        job: &Job,
        task: TaskId,
        contributions: BTreeMap<ParticipantName, Receipt>,
        session: Option<Arc<Groups>>,
    ) {
        let (store, handle) = (Arc::clone(&self.store), self.handle.clone());
        let (verify, plan) = (self.interrupted.contains(&task), job.run().plan());
        let combination = Combination {
            task: task.clone(),
            layout: job.terms().layout.clone(),
            base: job.run().model(),
            strategy: job.strategy(),
            contributions,
            masked: session.zip(plan.secure().map(|secure| secure.terms.vector().clone())),
            quorum: plan.cohort().quorum,
            verify,
            noise: central(job),
        };
        tokio::spawn(async move {
            let result = blocking(move || Ok(combination.run(&store)));
            // A panic ends the attempt with a reason; without an answer the round would wait for ever.
            let result = match tokio::spawn(result).await {
                Ok(result) => result.map_err(|error| error.to_string()).flatten(),
                Err(error) => Err(format!("an internal error: {error}")),
            };
            handle.aggregated(task, result).await;
        });
    }

    /// Logs what became of an attempt and removes what nobody needs any more.
    fn round_ended(&self, name: &JobName, summary: &RoundSummary) {
        let Some(job) = self.jobs.get(name) else { return };
        let (round, attempt) = (summary.round, summary.attempt);
        let task = TaskId { job: name.clone(), round, attempt };
        match &summary.outcome {
            Ok(model) => {
                self.note_released(&task, summary.ended);
                let contributors = summary.contributors.len();
                tracing::info!(job = %name, %round, attempt, contributors, %model, "round completed");
            }
            Err(reason) => tracing::warn!(job = %name, %round, attempt, %reason, "round abandoned"),
        }
        let completed = job.run().history().iter().filter_map(|round| round.outcome.as_ref().ok());
        // The model that this round started from: the newest but one.
        let old = completed.rev().nth(1).copied();
        let old = old.filter(|old| !self.jobs.values().any(|job| job.needs(*old)));
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            let removed =
                store.remove_updates(&task).and_then(|()| old.map_or(Ok(()), |old| store.remove_model(old)));
            if let Err(error) = removed {
                tracing::warn!(%task, %error, "cannot remove what is no longer needed");
            }
        });
    }

    /// A job that has ended keeps its model and nobody's update: those of a round that was stopped go too.
    fn remove_updates(&self, job: JobName) {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.remove_job_updates(&job) {
                tracing::warn!(%job, %error, "cannot remove the updates; the next start tries again");
            }
        });
    }

    fn announce_end(&mut self, name: &JobName) {
        let Some(job) = self.jobs.get(name) else { return };
        let Some(ended) = status::job_ended(job) else { return };
        let told: Vec<ParticipantName> = self
            .sessions
            .present()
            .into_iter()
            .filter(|participant| job.run().plan().cohort().is_eligible(participant))
            .filter(|participant| self.sessions.send(participant, Kind::JobEnded(ended.clone())))
            .collect();
        told.into_iter().for_each(|participant| self.event(name, JobEvent::Told { participant }));
    }
}
