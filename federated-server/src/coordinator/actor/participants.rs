//! What participants do: come and go, offer updates, decline.

use std::collections::BTreeSet;

use federated_core::{
    ids::{Digest, JobName, ParticipantName, TaskId},
    job::JobEvent,
    metrics::Metrics,
    privacy::{
        dp::{ledger::PrivacyUnit, terms::PrivacyTerms},
        secagg::{MessageAdmission, ParticipantMessage},
    },
    round::{Admission, AnswerError, Event, OutReason, Receipt, UpdateKind},
    update::ExampleCount,
};
use federated_proto::{
    convert::UpdateHeader,
    v1::{self, directive::Kind},
};

use super::Actor;
use crate::coordinator::{
    CoordinatorError,
    message::{Admitted, Directives, Reply, Wanted, WantedForm},
    status,
};

impl Actor {
    pub(super) fn attend(
        &mut self,
        participant: ParticipantName,
        minor: u32,
        directives: Directives,
        reply: Reply<u64>,
    ) {
        tracing::info!(%participant, "attends");
        self.presence_changed = true;
        let session = self.sessions.open(participant.clone(), minor, directives);
        self.sessions.send(&participant, Kind::Heartbeat(v1::Heartbeat {}));
        self.tell_of_ended_jobs(&participant);
        self.tell_active(&Event::Joined(participant));
        self.reply(reply, Ok(session));
    }

    pub(super) fn leave(&mut self, participant: ParticipantName, session: u64) {
        if self.sessions.close(&participant, session) {
            tracing::info!(%participant, "left");
            self.presence_changed = true;
            self.tell_active(&Event::Left(participant));
        }
    }

    fn tell_active(&mut self, event: &Event) {
        let active: Vec<_> = self.active().cloned().collect();
        active.iter().for_each(|job| self.round(job, event.clone()));
    }

    fn tell_of_ended_jobs(&mut self, participant: &ParticipantName) {
        let untold = self.jobs.iter().filter(|(_, job)| job.untold().contains(participant));
        for result in untold.clone().filter_map(|(_, job)| job.run().result(participant)) {
            self.tell_result(&BTreeSet::from([participant.clone()]), result);
        }
        let told: Vec<JobName> = untold
            .filter_map(|(name, job)| Some((name, status::job_ended(job)?)))
            .filter(|(_, ended)| self.sessions.send(participant, Kind::JobEnded(ended.clone())))
            .map(|(name, _)| name.clone())
            .collect();
        for name in told {
            self.event(&name, JobEvent::Told { participant: participant.clone() });
        }
    }

    pub(super) fn admit(
        &self,
        participant: &ParticipantName,
        task: &TaskId,
        content: Digest,
    ) -> Result<Admitted, CoordinatorError> {
        let job = self.job(&task.job)?;
        match job.run().admit(participant, task, content)? {
            Admission::Duplicate(receipt) => Ok(Admitted::Duplicate { bytes: receipt.bytes }),
            _ => {
                let terms = job.terms();
                let form = match terms.plan.secure() {
                    None => WantedForm::Open(terms.compression),
                    Some(secure) => {
                        let bytes = secure.terms.vector().byte_len(terms.layout.elements());
                        WantedForm::Masked { bytes }
                    }
                };
                Ok(Admitted::Welcome(Wanted { layout: terms.layout.clone(), form }))
            }
        }
    }

    pub(super) fn stored(&mut self, participant: ParticipantName, header: UpdateHeader, reply: Reply<()>) {
        let UpdateHeader { task, content, bytes, mut kind, .. } = header;
        if let Some(privacy) = self.jobs.get(&task.job).and_then(|job| job.terms().privacy) {
            kind = as_noted(kind, &privacy);
        }
        // The round may have closed while the bytes came.
        let admitted = self.admit(&participant, &task, content);
        if matches!(admitted, Ok(Admitted::Welcome(_))) {
            tracing::info!(%participant, %task, bytes, "update is durable");
            let receipt = Receipt { content, bytes, kind };
            self.round(&task.job.clone(), Event::UpdateStored { participant, task, receipt });
        }
        self.reply(reply, admitted.map(drop));
    }

    /// Takes what a participant answers in secure aggregation.
    pub(super) fn answered(
        &mut self,
        participant: ParticipantName,
        task: TaskId,
        message: ParticipantMessage,
    ) -> Result<(), CoordinatorError> {
        let admitted = self.job(&task.job)?.run().admit_answer(&participant, &task, &message);
        match admitted {
            Ok(MessageAdmission::Welcome) => {
                tracing::debug!(%participant, %task, stage = %message.stage(), "answered");
                self.round(&task.job.clone(), Event::Answered { participant, task, message });
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => {
                let (code, message) = (error.reason().to_string(), error.to_string());
                tracing::warn!(%participant, %task, code, "{message}");
                // One whose keys or shares cannot be used has no further part; a late word changes nothing.
                if matches!(error, AnswerError::Session(_)) {
                    self.failed(participant, task, OutReason::Refused { code, message });
                }
                Err(error.into())
            }
        }
    }

    pub(super) fn failed(&mut self, participant: ParticipantName, task: TaskId, reason: OutReason) {
        let job = self.jobs.get(&task.job);
        if job.is_some_and(|job| job.run().expects(&participant, &task)) {
            tracing::warn!(%participant, %task, "{reason}");
            self.round(&task.job.clone(), Event::MemberFailed { participant, task, reason });
        } else {
            tracing::debug!(%participant, %task, "{reason}, though not at work on it");
        }
    }
}

/// What is noted of an update in a job with differential privacy: nothing beside it, as nothing beside it has noise. Where
/// participants are hidden all updates weigh the same.
fn as_noted(kind: UpdateKind, privacy: &PrivacyTerms) -> UpdateKind {
    match kind {
        UpdateKind::Open { encoding, examples, .. } => {
            let hidden = privacy.unit() == PrivacyUnit::Participant;
            let examples = if hidden { ExampleCount::ONE } else { examples };
            UpdateKind::Open { encoding, examples, metrics: Metrics::new() }
        }
        UpdateKind::Masked => UpdateKind::Masked,
    }
}
