use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use federated_core::{
    ids::{JobName, TaskId},
    privacy::secagg::{CoordinatorMessage, SignedResult, Site},
};
use rand_chacha::ChaCha20Rng;
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use super::{
    Backoff, ClientError, Connection, attendance,
    books::Books,
    machine::{Action, EndedJob, Input, Machine, Rules},
    result::{ResultRules, SumResults},
    secure::{SecureSessions, Step},
    transfer,
    worker::Worker,
};
use crate::{
    config::CoordinatorAddress, event::ParticipantEvent, state::StateFolder, trainer::LocalTrainer,
    transport::SiteIdentity,
};

/// How many occurrences may wait to be looked at.
const QUEUE: usize = 64;

/// What an application gives to be told of events.
pub(crate) type OnEvent = Box<dyn FnMut(&ParticipantEvent) + Send>;

/// What a session is made of.
pub(crate) struct Settings {
    pub(crate) coordinator: CoordinatorAddress,
    pub(crate) identity: SiteIdentity,
    pub(crate) state: StateFolder,
    pub(crate) trainer: Box<dyn LocalTrainer>,
    /// What it may spend of its privacy budget.
    pub(crate) books: Books,
    pub(crate) rules: Rules,
    /// Who it is in secure aggregation, with randomness for its keys.
    pub(crate) secure: (Option<Arc<Site>>, ChaCha20Rng),
    /// How it judges what is said to have come of its sessions.
    pub(crate) results: ResultRules,
    pub(crate) backoff: Backoff,
    pub(crate) on_event: OnEvent,
}

/// Something that a session must look at.
pub(super) enum Occurrence {
    Up(Connection),
    Down {
        reason: String,
        retry_in: Duration,
    },
    Input(Input),
    /// The coordinator goes on with secure aggregation.
    Told(TaskId, CoordinatorMessage),
    /// The coordinator says what came of a session.
    Result(Box<SignedResult>),
    /// The participant must stop.
    Ended(ClientError),
}

/// What a transfer is for; there is at most one for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    Task(TaskId),
    Answer(TaskId),
    FinalModel(JobName),
}

/// A participant at work: carries out what the machine decides.
///
/// One task owns all of it and takes one occurrence after another; connections, transfers and the trainer run beside
/// it and report.
pub(crate) struct Session {
    machine: Machine,
    secure: SecureSessions,
    results: SumResults,
    state: Arc<StateFolder>,
    books: Books,
    worker: Worker,
    connection: Option<Connection>,
    backoff: Backoff,
    on_event: OnEvent,
    occurrences: mpsc::Sender<Occurrence>,
    queue: mpsc::Receiver<Occurrence>,
    transfers: BTreeMap<Purpose, AbortHandle>,
    /// Everything that runs beside; dropping it ends it.
    tasks: JoinSet<()>,
}

impl Session {
    /// Starts connecting.
    pub(crate) fn start(settings: Settings) -> Result<Self, ClientError> {
        let (occurrences, queue) = mpsc::channel(QUEUE);
        let state = Arc::new(settings.state);
        let worker =
            Worker::start(settings.trainer, Arc::clone(&state), settings.books.clone(), occurrences.clone())
                .map_err(|error| worker_error(&error.to_string()))?;
        let (site, entropy) = settings.secure;
        let mut tasks = JoinSet::new();
        let identity = Arc::new(settings.identity);
        tasks.spawn(attendance::attend(
            settings.coordinator,
            identity,
            settings.backoff,
            occurrences.clone(),
        ));
        Ok(Self {
            machine: Machine::new(settings.rules),
            results: SumResults::new(settings.results, Arc::clone(&state)),
            secure: SecureSessions::new(site, entropy, Arc::clone(&state)),
            state,
            books: settings.books,
            worker,
            connection: None,
            backoff: settings.backoff,
            on_event: settings.on_event,
            occurrences,
            queue,
            transfers: BTreeMap::new(),
            tasks,
        })
    }

    /// Takes part until `shutdown` is ready, enough jobs ended, or the participant must stop.
    pub(crate) async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), ClientError> {
        let ended = tokio::select! {
            ended = self.work() => ended,
            () = shutdown => {
                tracing::info!("shutting down; what is unfinished goes on at the next start");
                Ok(())
            }
        };
        drop(self.tasks);
        // A trainer that waits for masks waits no longer.
        drop(self.secure);
        // The trainer's last report must find nobody rather than a full queue.
        drop(self.queue);
        self.worker.finish().await;
        ended
    }

    async fn work(&mut self) -> Result<(), ClientError> {
        loop {
            // The session holds a sender itself, so the queue does not end.
            let Some(occurrence) = self.queue.recv().await else {
                return Ok(());
            };
            while self.tasks.try_join_next().is_some() {}
            let actions = match occurrence {
                Occurrence::Up(connection) => self.up(connection),
                Occurrence::Down { reason, retry_in } => self.down(reason, retry_in),
                Occurrence::Input(input) => {
                    if let Some(event) = self.results.hear(&input) {
                        self.report(&event);
                    }
                    self.machine.handle(input)
                }
                Occurrence::Result(result) => {
                    if let Some(event) = self.results.told(&result) {
                        self.report(&event);
                    }
                    Vec::new()
                }
                Occurrence::Told(task, message) => {
                    let step = self.secure.told(&task, message);
                    step.map(|step| self.step(step)).unwrap_or_default()
                }
                Occurrence::Ended(error) => return Err(error),
            };
            let mut actions = VecDeque::from(actions);
            while let Some(action) = actions.pop_front() {
                if action == Action::Finish {
                    return Ok(());
                }
                actions.extend(self.carry_out(action)?);
            }
        }
    }

    /// What secure aggregation wants done; with what the machine wants then.
    fn step(&mut self, step: Step) -> Vec<Action> {
        match step {
            Step::Input(input) => self.machine.handle(input),
            Step::Answer { task, message } => {
                let purpose = Purpose::Answer(task.clone());
                self.transfer(purpose, |site| transfer::answer(site, task, message));
                Vec::new()
            }
        }
    }

    fn up(&mut self, connection: Connection) -> Vec<Action> {
        let terms = connection.terms();
        self.report(&ParticipantEvent::Connected {
            participant: terms.participant.clone(),
            software: terms.software.clone(),
        });
        self.connection = Some(connection);
        for step in self.secure.again() {
            self.step(step);
        }
        self.machine.handle(Input::Connected)
    }

    fn down(&mut self, reason: String, retry_in: Duration) -> Vec<Action> {
        self.connection = None;
        for (_, transfer) in std::mem::take(&mut self.transfers) {
            transfer.abort();
        }
        self.report(&ParticipantEvent::Disconnected { reason, retry_in });
        self.machine.handle(Input::Disconnected)
    }

    /// Does it; with what is to be done then.
    fn carry_out(&mut self, action: Action) -> Result<Vec<Action>, ClientError> {
        match action {
            Action::Train(task) => {
                let masks = self.secure.masks(&task.id);
                if !self.worker.train(task, masks) {
                    return Err(worker_error("it ended"));
                }
            }
            Action::StopTraining => self.worker.stop(),
            Action::Cancel { task } => {
                self.secure.close(&task);
                if let Some(answer) = self.transfers.remove(&Purpose::Answer(task.clone())) {
                    answer.abort();
                }
                if let Some(transfer) = self.transfers.remove(&Purpose::Task(task)) {
                    transfer.abort();
                }
            }
            Action::ConfirmUpdate { task } => {
                self.books.released(&task);
                logged(self.state.confirm_update(&task));
            }
            Action::DiscardUpdate { task } => logged(self.state.discard_update(&task)),
            Action::DiscardJob { job } => logged(self.state.discard_job(&job)),
            // Here and now: done later, it might meet the beginning of a download that started after it.
            Action::RetainModels => logged(self.state.retain_models(&self.machine.models())),
            Action::Report(event) => self.report(&event),
            Action::Prepare(task) => {
                if let Some((doubt, declined)) = self.results.doubt(&task) {
                    self.report(&doubt);
                    if let Some(declined) = declined {
                        return Ok(self.machine.handle(declined));
                    }
                }
                let begun = self.secure.begin(&task);
                if let Some(Step::Input(lost)) = begun {
                    return Ok(self.machine.handle(lost));
                }
                begun.map(|step| self.step(step));
                let purpose = Purpose::Task(task.id.clone());
                self.transfer(purpose, |site| transfer::prepare(site, task));
            }
            Action::Upload { task, resume } => {
                let purpose = Purpose::Task(task.id.clone());
                self.transfer(purpose, move |site| transfer::upload(site, task, resume));
            }
            Action::Decline { task, reason, message } => {
                let purpose = Purpose::Task(task.clone());
                self.transfer(purpose, |site| transfer::decline(site, task, reason, message));
            }
            Action::FetchFinal(ended) => self.fetch_final(ended),
            Action::Finish => {}
        }
        Ok(Vec::new())
    }

    fn fetch_final(&mut self, ended: EndedJob) {
        let purpose = Purpose::FinalModel(ended.job.clone());
        self.transfer(purpose, |site| transfer::final_model(site, ended));
    }

    /// Starts a transfer in place of an earlier one for the same purpose. Without a connection nothing starts: the
    /// machine asks again when there is one.
    fn transfer<T>(&mut self, purpose: Purpose, start: impl FnOnce(transfer::Site) -> T)
    where
        T: Future<Output = Option<Input>> + Send + 'static,
    {
        let Some(connection) = self.connection.clone() else {
            return;
        };
        let transfer =
            start(transfer::Site { connection, state: Arc::clone(&self.state), backoff: self.backoff });
        let occurrences = self.occurrences.clone();
        let handle = self.tasks.spawn(async move {
            if let Some(input) = transfer.await {
                // Nobody listens once the session has ended.
                let _ = occurrences.send(Occurrence::Input(input)).await;
            }
        });
        if let Some(earlier) = self.transfers.insert(purpose, handle) {
            earlier.abort();
        }
    }

    fn report(&mut self, event: &ParticipantEvent) {
        event.log();
        (self.on_event)(event);
    }
}

fn worker_error(detail: &str) -> ClientError {
    ClientError::Worker { detail: detail.to_owned() }
}

/// A leftover file does no harm: it is removed with the next of its kind. A receipt that cannot be noted costs what the
/// update left out.
fn logged(result: Result<(), crate::state::StateError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "something in the state folder could not be removed or renamed");
    }
}
