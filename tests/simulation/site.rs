//! A participant: the real machine, with what its edge does for each action (`federated-client/src/session`), and its
//! state folder, which survives a crash.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use federated_client::{
    event::ParticipantEvent,
    policy::SitePolicy,
    simulation::{Action, Input, Machine, Rules},
};
use federated_core::{
    ids::{Digest, JobName, TaskId},
    metrics::Metrics,
    task::TrainTask,
    update::ExampleCount,
};

use crate::{
    books::Sight,
    names,
    network::{Answer, Call, Kind},
    planted::Plant,
    violation::Violation,
    world::World,
};

/// A site: what is on its disk, and the process that may run there.
#[derive(Debug, Default)]
pub(crate) struct Site {
    /// The updates in the state folder.
    pub(crate) updates: BTreeMap<TaskId, Kept>,
    pub(crate) process: Option<Process>,
    /// There is no way to the coordinator.
    pub(crate) cut_off: bool,
    pub(crate) fails_next: bool,
}

/// An update in the state folder. It answers one task, not one of the same name.
#[derive(Debug)]
pub(crate) struct Kept {
    task: TrainTask,
    content: Digest,
}

/// What a crash takes.
#[derive(Debug)]
pub(crate) struct Process {
    machine: Machine,
    /// The connection that is kept open, and on which directives come.
    pub(crate) attendance: Option<usize>,
    /// The connection on which the session makes its calls.
    connection: Option<usize>,
    pub(crate) queue: VecDeque<Occurrence>,
    transfers: BTreeMap<TaskId, Transfer>,
    pub(crate) training: Option<Training>,
    /// Small models are kept in memory alone, until they are trained.
    models: BTreeSet<Digest>,
}

/// What the session has to look at.
#[derive(Debug)]
pub(crate) enum Occurrence {
    Up(usize),
    Down,
    Input(Input),
}

/// A call under way for a task, and what it is for.
#[derive(Debug)]
struct Transfer {
    call: u32,
    work: Work,
}

#[derive(Debug, Clone)]
enum Work {
    Prepare(TrainTask),
    Upload { task: TaskId, content: Digest },
    Decline { task: TaskId, reason: String },
}

#[derive(Debug)]
pub(crate) struct Training {
    task: TrainTask,
    stop: bool,
    /// The update is in the state folder.
    pub(crate) kept: bool,
}

impl Process {
    fn new() -> Self {
        // A cohort of one is fine here.
        let policy = SitePolicy { min_cohort: 1, ..SitePolicy::default() };
        Self {
            machine: Machine::new(Rules { policy, keep_final_model: false, stop_after_jobs: None }),
            attendance: None,
            connection: None,
            queue: VecDeque::new(),
            transfers: BTreeMap::new(),
            training: None,
            models: BTreeSet::new(),
        }
    }

    fn report(&mut self, input: Input) {
        self.queue.push_back(Occurrence::Input(input));
    }
}

fn failed(task: TaskId, reason: &str) -> Input {
    Input::Failed { task, reason: reason.to_owned(), message: String::new() }
}

impl Site {
    pub(crate) fn start(&mut self) {
        self.process.get_or_insert_with(Process::new);
    }

    /// The update for exactly this task. Those for other tasks of its job are thrown away.
    fn find_update(&mut self, task: &TrainTask) -> Option<Digest> {
        self.updates.retain(|id, kept| id.job != task.id.job || kept.task == *task);
        self.updates.get(&task.id).map(|kept| kept.content)
    }

    fn discard_job(&mut self, job: &JobName) {
        self.updates.retain(|task, _| task.job != *job);
    }
}

impl World {
    /// The session looks at what is next.
    pub(crate) fn session(&mut self, site: usize) -> Result<(), Violation> {
        let Some(process) = &mut self.sites[site].process else { return Ok(()) };
        let Some(occurrence) = process.queue.pop_front() else { return Ok(()) };
        self.trace.note(0x51 + site as u64, || format!("site-{site} looks at {occurrence:?}"));
        let actions = match occurrence {
            Occurrence::Up(connection) => {
                process.connection = Some(connection);
                process.machine.handle(Input::Connected)
            }
            Occurrence::Down => {
                process.connection = None;
                process.transfers.clear();
                process.machine.handle(Input::Disconnected)
            }
            Occurrence::Input(input) => process.machine.handle(input),
        };
        actions.into_iter().try_for_each(|action| self.act(site, action))
    }

    fn act(&mut self, index: usize, action: Action) -> Result<(), Violation> {
        self.trace.note(0xA0, || format!("    {action:?}"));
        let site = &mut self.sites[index];
        let Some(process) = &mut site.process else { return Ok(()) };
        match action {
            Action::Prepare(task) => self.prepare(index, task)?,
            Action::Train(task) => {
                if process.training.is_some() {
                    return Err(Violation::TwoTrainings { site: index });
                }
                // Whoever reads a model takes it.
                if process.models.remove(&task.model) {
                    process.training = Some(Training { task, stop: false, kept: false });
                } else {
                    self.books.see(Sight::ModelTaken);
                    process.report(Input::ModelGone { task: task.id });
                }
            }
            Action::StopTraining => {
                if let Some(training) = &mut process.training {
                    training.stop = true;
                }
            }
            Action::Upload { task, resume } => self.upload(index, &task, resume)?,
            Action::Decline { task, reason, .. } => {
                self.transfer(index, Work::Decline { task, reason }, false)?;
            }
            Action::Cancel { task } => drop(process.transfers.remove(&task)),
            Action::DiscardUpdate { task } => drop(site.updates.remove(&task)),
            Action::DiscardJob { job } => site.discard_job(&job),
            Action::RetainModels => {
                let wanted = process.machine.models();
                process.models.retain(|model| wanted.contains(model));
            }
            Action::Report(ParticipantEvent::JobEnded { job, .. }) => {
                self.books.heard.insert((names::job_of(&job), index));
            }
            _ => {}
        }
        Ok(())
    }

    fn prepare(&mut self, index: usize, task: TrainTask) -> Result<(), Violation> {
        let site = &mut self.sites[index];
        let found = site.find_update(&task);
        let Some(process) = site.process.as_mut().filter(|process| process.connection.is_some()) else {
            return Ok(());
        };
        if found.is_some() {
            self.books.see(Sight::UpdateFound);
            process.report(Input::UpdateFound { task: task.id });
        } else if process.models.contains(&task.model) {
            process.report(Input::ModelReady { task: task.id });
        } else {
            self.transfer(index, Work::Prepare(task), false)?;
        }
        Ok(())
    }

    fn upload(&mut self, index: usize, task: &TrainTask, resume: bool) -> Result<(), Violation> {
        let site = &mut self.sites[index];
        let found = site.find_update(task);
        match (found, &mut site.process) {
            (Some(content), _) => {
                self.transfer(index, Work::Upload { task: task.id.clone(), content }, resume)
            }
            (None, Some(process)) if process.connection.is_some() => {
                process.report(failed(task.id.clone(), "STATE_FAILED"));
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// Makes the first call of a transfer, or the same again; an earlier transfer for the task ends.
    fn transfer(&mut self, site: usize, work: Work, resume: bool) -> Result<(), Violation> {
        let Some(process) = &mut self.sites[site].process else { return Ok(()) };
        let Some(connection) = process.connection else { return Ok(()) };
        let (task, kind) = match &work {
            Work::Prepare(task) => (task.id.clone(), Kind::Fetch { model: task.model }),
            Work::Upload { task, content } if resume => (task.clone(), Kind::Query { content: *content }),
            Work::Upload { task, content } => {
                self.books.sent(task, site, *content)?;
                (task.clone(), Kind::Submit { content: *content })
            }
            Work::Decline { task, reason } => (task.clone(), Kind::Decline { reason: reason.clone() }),
        };
        let call = self.net.call(connection, task.clone(), kind);
        process.transfers.insert(task, Transfer { call, work });
        Ok(())
    }

    /// An answer arrives; `None` for a call that failed without one.
    pub(crate) fn answered(&mut self, call: &Call, answer: Option<Answer>) -> Result<(), Violation> {
        let site = call.site;
        let Some(process) = &mut self.sites[site].process else { return Ok(()) };
        let waits = |transfer: &Transfer| transfer.call == call.id;
        let Some(work) = process.transfers.get(&call.task).filter(|transfer| waits(transfer)) else {
            return Ok(());
        };
        let (work, task) = (work.work.clone(), call.task.clone());
        let input = match (&work, answer) {
            (_, None | Some(Answer::Refused { retry: true, .. })) => return self.transfer(site, work, true),
            (Work::Upload { .. }, Some(Answer::Wanted)) => return self.transfer(site, work, false),
            (Work::Upload { content, .. }, Some(Answer::Complete)) => {
                Input::Submitted { task, content: *content, duplicate: true }
            }
            (Work::Upload { content, .. }, Some(Answer::Receipt { duplicate })) => {
                Input::Submitted { task, content: *content, duplicate }
            }
            (Work::Upload { .. }, Some(Answer::Refused { reason, .. })) => {
                Input::Refused { task, reason, message: String::new() }
            }
            (Work::Prepare(train), Some(Answer::Model)) => {
                process.models.insert(train.model);
                Input::ModelReady { task }
            }
            (Work::Prepare(_), Some(_)) => failed(task, "MODEL_UNAVAILABLE"),
            (Work::Decline { .. }, Some(_)) => Input::DeclineNoted { task },
            (Work::Upload { .. }, Some(_)) => return Ok(()),
        };
        process.transfers.remove(&call.task);
        process.report(input);
        Ok(())
    }

    /// The trainer gets on: it puts its update into the state folder, then it says so.
    pub(crate) fn train(&mut self, index: usize) {
        let site = &mut self.sites[index];
        let Some(process) = &mut site.process else { return };
        let Some(Training { task, stop, kept }) = &mut process.training else { return };
        let id = task.id.clone();
        self.trace.note(0x70 + index as u64, || format!("site-{index} trains {id}, kept {kept}"));
        let input = if *kept {
            Input::Trained {
                task: id,
                examples: ExampleCount::ONE,
                metrics: Metrics::new(),
                elapsed: std::time::Duration::ZERO,
            }
        } else if *stop {
            failed(id, "TRAINING_STOPPED")
        } else if std::mem::take(&mut site.fails_next) {
            self.books.excuses.failed_trainings.insert(index);
            failed(id, "TRAINING_FAILED")
        } else {
            *kept = true;
            let content = self.books.trained();
            site.updates.insert(id, Kept { task: task.clone(), content });
            return;
        };
        process.training = None;
        process.report(input);
    }

    /// The process ends at once. What is in the state folder stays.
    pub(crate) fn crash_site(&mut self, index: usize) {
        let site = &mut self.sites[index];
        let Some(process) = site.process.take() else { return };
        if self.plant == Some(Plant::ForgetsUpdates) {
            site.updates.clear();
        }
        self.books.excuses.absence = true;
        if let Some(connection) = process.attendance {
            let arrives = self.dice.chance(50);
            self.net.sever(connection, u64::MAX, self.now, arrives);
        }
    }
}
