//! The end of a job.

use federated_core::{ids::JobName, model::ModelParameters};

use super::{Action, EndedJob, Machine};
use crate::event::ParticipantEvent;

impl Machine {
    pub(super) fn job_ended(&mut self, ended: EndedJob) -> Vec<Action> {
        let digest = ended.model.as_ref().map(|model| model.digest);
        let known = self.ended.get(&ended.job) == Some(&digest);
        if known || self.fetching_final.get(&ended.job) == Some(&ended) {
            return Vec::new();
        }
        let mut actions = self.forget(&ended.job);
        actions.push(Action::DiscardJob { job: ended.job.clone() });
        let limit = self.rules.policy.max_model_bytes;
        let wanted = ended.model.as_ref().is_some_and(|model| model.layout.bytes() <= limit);
        if self.rules.keep_final_model && wanted {
            self.fetching_final.insert(ended.job.clone(), ended.clone());
            if self.connected {
                actions.push(Action::FetchFinal(ended));
            }
        } else {
            actions.extend(self.report_end(ended, None));
        }
        actions
    }

    pub(super) fn final_model(&mut self, job: &JobName, model: Option<ModelParameters>) -> Vec<Action> {
        self.fetching_final.remove(job).map_or_else(Vec::new, |ended| self.report_end(ended, model))
    }

    fn report_end(&mut self, ended: EndedJob, model: Option<ModelParameters>) -> Vec<Action> {
        let EndedJob { job, outcome, message, model: newest } = ended;
        self.ended.insert(job.clone(), newest.map(|newest| newest.digest));
        self.jobs_ended = self.jobs_ended.saturating_add(1);
        let mut actions = vec![
            Action::Report(ParticipantEvent::JobEnded { job, outcome, message, model }),
            Action::RetainModels,
        ];
        if self.rules.stop_after_jobs.is_some_and(|jobs| self.jobs_ended >= jobs) {
            actions.push(Action::Finish);
        }
        actions
    }
}
