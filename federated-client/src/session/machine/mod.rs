//! What a participant does next: a machine without any I/O.
//!
//! [`Machine::handle`] takes what happened ([`Input`]) and gives what to do ([`Action`]). Inputs about tasks that were
//! forgotten meanwhile are ignored, so the edge may report things late or twice.
//!
//! A task goes through these stages; the first directive that names another task of the same job replaces it:
//!
//! ```text
//! Fetching -> Waiting -> Training -> Uploading -> Submitted
//!     |___________|__________|___________|______> Declined
//! ```
//!
//! Back from Training to Fetching goes a task whose model was gone when the trainer looked for it.

mod input;
mod job_end;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use federated_core::{
    ids::{Digest, JobName, TaskId},
    task::TrainTask,
};

pub use input::{Action, EndedJob, Input};
use task::{Stage, Work};

use crate::{event::ParticipantEvent, policy::SitePolicy};

/// How a session is set up.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What this site agrees to.
    pub policy: SitePolicy,
    /// Whether to fetch the newest model of a job that ended.
    pub keep_final_model: bool,
    /// After how many ended jobs to stop; never when `None`.
    pub stop_after_jobs: Option<u32>,
}

/// Which tasks there are and how far each is.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    connected: bool,
    work: BTreeMap<JobName, Work>,
    /// Tasks that wait for the trainer, oldest first.
    waiting: VecDeque<TaskId>,
    /// The task that the trainer is busy with; it may be forgotten already.
    training: Option<TaskId>,
    /// Jobs whose end was reported, with the model they ended with.
    ended: BTreeMap<JobName, Option<Digest>>,
    /// Jobs that ended and whose newest model is being fetched.
    fetching_final: BTreeMap<JobName, EndedJob>,
    jobs_ended: u32,
}

impl Machine {
    /// A participant that has no task yet.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            connected: false,
            work: BTreeMap::new(),
            waiting: VecDeque::new(),
            training: None,
            ended: BTreeMap::new(),
            fetching_final: BTreeMap::new(),
            jobs_ended: 0,
        }
    }

    /// The models that tasks and ended jobs still need.
    #[must_use]
    pub fn models(&self) -> BTreeSet<Digest> {
        let tasks = self.work.values().map(|work| work.task.model);
        let finals = self.fetching_final.values();
        tasks.chain(finals.filter_map(|ended| Some(ended.model.as_ref()?.digest))).collect()
    }

    /// Decides what to do about something that happened.
    pub fn handle(&mut self, input: Input) -> Vec<Action> {
        match input {
            Input::Connected => self.connected(),
            Input::Disconnected => {
                self.connected = false;
                Vec::new()
            }
            Input::Train(task) => self.train(task),
            Input::Unusable { task, reason, message } => vec![Action::Decline { task, reason, message }],
            Input::Withdrawn { task, reason, message } => self.withdrawn(task, reason, message),
            Input::JobEnded(ended) => self.job_ended(ended),
            Input::UpdateFound { task } => self.advance(&task, &[Stage::Fetching], Stage::Uploading),
            Input::ModelReady { task } => self.model_ready(task),
            Input::ModelGone { task } => self.model_gone(&task),
            Input::Trained { task, examples, metrics, elapsed } => {
                self.trained(task, |task| ParticipantEvent::Trained { task, examples, metrics, elapsed })
            }
            Input::Failed { task, reason, message } => self.failed(task, reason, message),
            Input::Submitted { task, content, duplicate } => {
                let mut actions = self.advance(&task, &[Stage::Uploading], Stage::Submitted);
                actions.push(Action::ConfirmUpdate { task: task.clone() });
                actions.push(Action::Report(ParticipantEvent::Submitted { task, content, duplicate }));
                actions
            }
            Input::Refused { task, reason, message } => self.refused(task, reason, message),
            Input::DeclineNoted { task } => {
                if let Some(work) = self.current(&task) {
                    work.decline_noted();
                }
                Vec::new()
            }
            Input::FinalModel { job, model } => self.final_model(&job, model),
        }
    }

    /// Everything that waits for a connection goes on.
    fn connected(&mut self) -> Vec<Action> {
        self.connected = true;
        let tasks = self.work.values().filter_map(|work| work.network_action(true));
        let finals = self.fetching_final.values().cloned().map(Action::FetchFinal);
        tasks.chain(finals).collect()
    }

    fn train(&mut self, task: TrainTask) -> Vec<Action> {
        if let Some(work) = self.work.get_mut(&task.id.job)
            && work.task == task
        {
            // What is still on its way is one task, however often it is named.
            let again = work.asked_again().then(|| work.network_action(true));
            return again.flatten().into_iter().collect();
        }
        let mut actions = self.forget(&task.id.job);
        self.ended.remove(&task.id.job);
        let id = task.id.clone();
        let rounds = task.rounds;
        let refusal = self.rules.policy.check(&task).err();
        self.work.insert(task.id.job.clone(), Work::new(task));
        if let Some(refusal) = refusal {
            actions.extend(self.declined(&id, refusal.reason().as_str(), &refusal.to_string()));
            return actions;
        }
        actions.push(Action::Report(ParticipantEvent::TaskAccepted { task: id.clone(), rounds }));
        actions.push(Action::RetainModels);
        actions.extend(self.current(&id).and_then(|work| work.network_action(false)));
        actions
    }

    fn withdrawn(&mut self, task: TaskId, reason: String, message: String) -> Vec<Action> {
        if self.current(&task).is_none() {
            return Vec::new();
        }
        let mut actions = self.forget(&task.job);
        actions.push(Action::Report(ParticipantEvent::TaskWithdrawn { task, reason, message }));
        actions
    }

    fn model_ready(&mut self, task: TaskId) -> Vec<Action> {
        let Some(work) = self.current(&task).filter(|work| work.stage == Stage::Fetching) else {
            return Vec::new();
        };
        work.stage = Stage::Waiting;
        self.waiting.push_back(task);
        self.next_training()
    }

    /// Gives the trainer the next task that waits, if it is idle.
    fn next_training(&mut self) -> Vec<Action> {
        if self.training.is_some() {
            return Vec::new();
        }
        while let Some(task) = self.waiting.pop_front() {
            if let Some(work) = self.current(&task).filter(|work| work.stage == Stage::Waiting) {
                work.stage = Stage::Training;
                let action = Action::Train(work.task.clone());
                self.training = Some(task);
                return vec![action];
            }
        }
        Vec::new()
    }

    fn trained(&mut self, task: TaskId, event: impl FnOnce(TaskId) -> ParticipantEvent) -> Vec<Action> {
        let mut actions = self.trainer_idle(&task);
        if self.current(&task).is_none_or(|work| work.stage != Stage::Training) {
            actions.push(Action::DiscardUpdate { task });
            return actions;
        }
        actions.push(Action::Report(event(task.clone())));
        actions.extend(self.advance(&task, &[Stage::Training], Stage::Uploading));
        actions
    }

    /// The model is fetched once more, and the task waits for the trainer again.
    fn model_gone(&mut self, task: &TaskId) -> Vec<Action> {
        let mut actions = self.trainer_idle(task);
        actions.extend(self.advance(task, &[Stage::Training], Stage::Fetching));
        actions
    }

    fn failed(&mut self, task: TaskId, reason: String, message: String) -> Vec<Action> {
        let was_training =
            self.current(&task).is_some_and(|work| !matches!(work.stage, Stage::Declined { .. }));
        let mut actions = self.trainer_idle(&task);
        if was_training {
            actions.extend(self.declined(&task, &reason, &message));
        }
        actions
    }

    fn trainer_idle(&mut self, task: &TaskId) -> Vec<Action> {
        if self.training.as_ref() == Some(task) {
            self.training = None;
        }
        self.next_training()
    }

    fn refused(&mut self, task: TaskId, reason: String, message: String) -> Vec<Action> {
        let Some(work) = self.current(&task).filter(|work| work.stage == Stage::Uploading) else {
            return Vec::new();
        };
        // Were the task to come again all the same, the coordinator is told why there is no other update for it.
        work.stage = Stage::Declined { reason: reason.clone(), message: message.clone(), noted: true };
        vec![
            Action::DiscardUpdate { task: task.clone() },
            Action::Report(ParticipantEvent::Refused { task, reason, message }),
        ]
    }

    fn declined(&mut self, task: &TaskId, reason: &str, message: &str) -> Vec<Action> {
        let stage = Stage::Declined { reason: reason.to_owned(), message: message.to_owned(), noted: false };
        let Some(work) = self.current(task) else {
            return Vec::new();
        };
        work.stage = stage;
        let decline = work.network_action(false);
        let mut actions = vec![Action::Report(ParticipantEvent::TaskDeclined {
            task: task.clone(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        })];
        actions.extend(decline.filter(|_| self.connected));
        actions
    }

    /// Moves a task on, and starts what the new stage needs from the network.
    fn advance(&mut self, task: &TaskId, from: &[Stage], to: Stage) -> Vec<Action> {
        let connected = self.connected;
        let Some(work) = self.current(task).filter(|work| from.contains(&work.stage)) else {
            return Vec::new();
        };
        let resume = work.stage == Stage::Fetching;
        work.stage = to;
        work.network_action(resume).filter(|_| connected).into_iter().collect()
    }

    /// Forgets the task of a job, and stops what runs for it.
    fn forget(&mut self, job: &JobName) -> Vec<Action> {
        let Some(work) = self.work.remove(job) else {
            return Vec::new();
        };
        let task = work.task.id;
        let mut actions = vec![Action::Cancel { task: task.clone() }];
        if self.training.as_ref() == Some(&task) {
            actions.push(Action::StopTraining);
        }
        actions.push(Action::DiscardUpdate { task });
        actions
    }

    fn current(&mut self, task: &TaskId) -> Option<&mut Work> {
        self.work.get_mut(&task.job).filter(|work| work.task.id == *task)
    }
}
