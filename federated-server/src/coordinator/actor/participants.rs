//! What participants do: come and go, offer updates, decline.

use federated_core::{
    ids::{Digest, JobName, ParticipantName, TaskId},
    job::JobEvent,
    round::{Admission, Event, OutReason, Receipt},
};
use federated_proto::{
    convert::UpdateHeader,
    v1::{self, directive::Kind},
};

use super::Actor;
use crate::coordinator::{
    CoordinatorError,
    message::{Admitted, Directives, Reply, Wanted},
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
                Ok(Admitted::Welcome(Wanted { layout: terms.layout.clone(), encoding: terms.compression }))
            }
        }
    }

    pub(super) fn stored(&mut self, participant: ParticipantName, header: UpdateHeader, reply: Reply<()>) {
        let UpdateHeader { task, content, encoding, bytes, examples, metrics, .. } = header;
        // The round may have closed while the bytes came.
        let admitted = self.admit(&participant, &task, content);
        if matches!(admitted, Ok(Admitted::Welcome(_))) {
            tracing::info!(%participant, %task, examples = examples.get(), "update is durable");
            let receipt = Receipt { content, encoding, bytes, examples, metrics };
            self.round(&task.job.clone(), Event::UpdateStored { participant, task, receipt });
        }
        self.reply(reply, admitted.map(drop));
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
