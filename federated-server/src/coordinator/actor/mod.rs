//! The task at the other end of every [`Coordinator`] handle: takes messages, writes what happened to the journal, then
//! answers and acts.
//!
//! Read in this order: [`Actor`] is the loop; `jobs` is what operators want of jobs, and when which one runs;
//! `participants` is what participants do; `budget` what an attempt spends before it begins; `carry_out` what is done when a round machine commands it, and `combine` how
//! updates become a model then.

mod budget;
mod carry_out;
mod combine;
mod jobs;
mod participants;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use federated_core::{
    ids::{JobName, TaskId},
    job::{Entry, Job, JobEvent},
    privacy::secagg::{SigningSecret, Totals},
    round::{Command, Event},
    selection::UniformSelector,
    time::Timestamp,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::budget::Budgets;
#[cfg(feature = "test-util")]
use super::Lie;
use super::{
    Coordinator, CoordinatorError,
    clock::Clock,
    message::{Message, Published, Reply, Summed},
    sessions::Sessions,
};
use crate::{
    config::JobsConfig,
    store::{Store, StoreError, journal::Journal},
};

/// How many messages are handled before the journal is written once for all of them.
const BATCH: usize = 256;
/// How long to wait before a failed write of the journal is tried again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// An answer that waits until what it speaks of is durable.
type Deferred = Box<dyn FnOnce() + Send>;

/// The task that owns every job.
pub(crate) struct Actor {
    store: Arc<Store>,
    journal: Journal,
    rules: JobsConfig,
    clock: Clock,
    handle: Coordinator,
    messages: mpsc::Receiver<Message>,
    changes: watch::Sender<u64>,
    sessions: Sessions,
    /// What jobs spend of their privacy budgets.
    budgets: Budgets,
    /// With what results and ledgers are signed, if there is a key.
    signing: Option<SigningSecret>,
    jobs: BTreeMap<JobName, Job>,
    /// When time alone will change a job.
    wake: BTreeMap<JobName, Timestamp>,
    /// Bytes of models that were downloaded and are not in the journal yet.
    downloads: BTreeMap<JobName, u64>,
    /// When the journal's lease is renewed, if it has one.
    renewal: Option<Instant>,
    /// Attempts that were under way when this process started: some of their updates are older than it.
    interrupted: BTreeSet<TaskId>,
    /// Somebody came or went since the watchers were told.
    presence_changed: bool,
    commands: Vec<(JobName, Command)>,
    replies: Vec<Deferred>,
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Actor").field("jobs", &self.jobs.keys()).finish_non_exhaustive()
    }
}

impl Actor {
    /// Goes on with the jobs that the journal gave and that have not ended.
    ///
    /// # Errors
    /// [`StoreError`] when what nobody needs any more cannot be removed.
    pub(crate) async fn load(
        store: Arc<Store>,
        (journal, jobs): (Journal, Vec<Job>),
        rules: JobsConfig,
    ) -> Result<(Self, Coordinator), StoreError> {
        let (changes, receiver) = watch::channel(0);
        let (handle, messages) = Coordinator::new(receiver);
        let renewal = journal.renew_every().map(|_| Instant::now());
        let interrupted = jobs.iter().map(|job| job.run().task()).collect();
        let mut actor = Self {
            handle: handle.clone(),
            messages,
            changes,
            clock: Clock::start(),
            sessions: Sessions::default(),
            signing: None,
            budgets: Budgets::default(),
            jobs: jobs.into_iter().map(|job| (job.name().clone(), job)).collect(),
            wake: BTreeMap::new(),
            downloads: BTreeMap::new(),
            renewal,
            interrupted,
            presence_changed: false,
            commands: Vec::new(),
            replies: Vec::new(),
            rules,
            journal,
            store,
        };
        for job in actor.jobs.values() {
            let (round, ended) = (job.run().round(), job.run().has_ended());
            tracing::info!(job = %job.name(), %round, ended, "read back");
        }
        actor.sweep().await?;
        let active: Vec<_> = actor.active().cloned().collect();
        active.iter().for_each(|job| actor.event(job, JobEvent::Restarted));
        Ok((actor, handle))
    }

    /// Works until `shutdown` is cancelled.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another coordinator has taken over.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<(), StoreError> {
        let ended = self.work(&shutdown).await;
        self.sessions.shut_down();
        self.journal.close().await;
        tracing::info!("the coordinator has stopped; every job goes on when it is started again");
        ended
    }

    async fn work(&mut self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let mut batch = Vec::with_capacity(BATCH);
        self.tick();
        loop {
            self.schedule();
            if !self.settle(shutdown).await? {
                return Ok(());
            }
            let wake = self.next_wake();
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                count = self.messages.recv_many(&mut batch, BATCH) => if count == 0 { return Ok(()) },
                () = tokio::time::sleep_until(wake) => self.tick(),
            }
            // Whoever is about to speak is heard first: one transaction then serves them all.
            tokio::task::yield_now().await;
            while batch.len() < BATCH
                && let Ok(message) = self.messages.try_recv()
            {
                batch.push(message);
            }
            batch.drain(..).for_each(|message| self.take(message));
            self.retire().await;
        }
    }

    fn next_wake(&mut self) -> Instant {
        const FAR: Duration = Duration::from_secs(3_600);
        let now = self.clock.now();
        let wait = self.wake.values().min().map_or(FAR, |at| at.since(now).min(FAR));
        let wake = Instant::now() + wait;
        self.renewal.map_or(wake, |renewal| renewal.min(wake))
    }

    /// Writes what happened, then sends what was waiting for that. False when the coordinator stops meanwhile.
    async fn settle(&mut self, shutdown: &CancellationToken) -> Result<bool, StoreError> {
        self.pay().await;
        let presence_changed = std::mem::take(&mut self.presence_changed);
        let changed = presence_changed || !self.journal.is_written() || !self.commands.is_empty();
        self.renew().await?;
        while !self.journal.is_written() {
            match self.journal.commit().await {
                Ok(()) => self.renewal = self.journal.renew_every().map(|every| Instant::now() + every),
                Err(error @ StoreError::LeaseLost { .. }) => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "cannot write the journal; nothing is confirmed until this works again");
                    if tokio::time::timeout(STORE_RETRY, shutdown.cancelled()).await.is_ok() {
                        return Ok(false);
                    }
                }
            }
        }
        for (job, command) in std::mem::take(&mut self.commands) {
            self.carry_out(&job, command);
        }
        self.replies.drain(..).for_each(|reply| reply());
        if changed {
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(true)
    }

    /// Renews the lease when nothing else was written for a while.
    async fn renew(&mut self) -> Result<(), StoreError> {
        let due = self.renewal.is_some_and(|renewal| renewal <= Instant::now());
        if !due || !self.journal.is_written() {
            return Ok(());
        }
        match self.journal.renew().await {
            Err(error @ StoreError::LeaseLost { .. }) => return Err(error),
            Err(error) => tracing::warn!(%error, "cannot renew the lease; tries again"),
            Ok(()) => {}
        }
        self.renewal = self.journal.renew_every().map(|every| Instant::now() + every);
        Ok(())
    }

    fn tick(&mut self) {
        let active: Vec<_> = self.active().cloned().collect();
        active.iter().for_each(|job| self.round(job, Event::Tick));
    }

    fn active(&self) -> impl Iterator<Item = &JobName> {
        self.jobs.iter().filter(|(_, job)| !job.run().has_ended()).map(|(name, _)| name)
    }

    /// Gives an event to a job's rounds.
    fn round(&mut self, name: &JobName, event: Event) {
        self.event(name, JobEvent::Round(event));
    }

    /// Gives an event to a job, adds it to the journal if it changes anything, and keeps what is to be done.
    fn event(&mut self, name: &JobName, event: JobEvent) {
        if let Some(bytes) = self.downloads.remove(name) {
            self.event(name, JobEvent::Downloaded { bytes });
        }
        let Some(job) = self.jobs.get(name) else { return };
        let at = self.clock.now();
        // Only rounds say when to wake, and say it every time.
        let is_round = matches!(event, JobEvent::Round(_));
        let (next, commands) = match job.clone().handle(event.clone(), &UniformSelector, at) {
            Ok(handled) => handled,
            Err(error) => {
                tracing::error!(job = %name, %error, "an event made no sense and was left out");
                return;
            }
        };
        if next.differs(job) {
            if let Err(error) = self.journal.push(name, &Entry { at, event }) {
                tracing::error!(job = %name, %error, "an event cannot be noted and was left out");
                return;
            }
            self.jobs.insert(name.clone(), next);
        }
        if is_round {
            self.wake.remove(name);
        }
        for command in commands {
            match command {
                Command::WakeAt(at) => drop(self.wake.insert(name.clone(), at)),
                other => self.commands.push((name.clone(), other)),
            }
        }
    }

    /// From now on results are signed with this key. Without one nobody is told of them.
    pub(crate) fn sign_with(&mut self, key: Option<SigningSecret>) {
        self.signing = key;
    }

    /// From now on participants are told something else.
    #[cfg(feature = "test-util")]
    pub(crate) fn lie(&mut self, lie: Lie) {
        self.sessions.lie = Some(lie);
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Attend { participant, minor, directives, reply } => {
                self.attend(participant, minor, directives, reply);
            }
            Message::Leave { participant, session } => self.leave(participant, session),
            Message::Admit { participant, task, content, reply } => {
                let admitted = self.admit(&participant, &task, content);
                self.reply(reply, admitted);
            }
            Message::Stored { participant, header, reply } => self.stored(participant, *header, reply),
            Message::Failed { participant, task, reason } => self.failed(participant, task, reason),
            Message::Answered { participant, task, message, reply } => {
                let answered = self.answered(participant, task, *message);
                self.reply(reply, answered);
            }
            Message::Downloaded { model, bytes } => {
                if let Some((name, _)) = self.jobs.iter().find(|(_, job)| job.needs(model)) {
                    *self.downloads.entry(name.clone()).or_default() += bytes;
                }
            }
            Message::Aggregated { task, result } => {
                let job = task.job.clone();
                let event = match result {
                    Ok(Published { model, sum: None }) => Event::ModelPublished { task, model },
                    Ok(Published { model, sum: Some(Summed { totals, sums }) }) => {
                        let Totals { examples, metrics, .. } = totals;
                        Event::SumPublished { task, model, examples, metrics, sums }
                    }
                    Err(reason) => Event::AggregationFailed { task, reason },
                };
                self.round(&job, event);
            }
            Message::Start { config, model, reply } => {
                let started = self.start(*config, model);
                self.reply(reply, started);
            }
            Message::Order { job, order, operator, reply } => {
                let done = self.order(&job, order, operator);
                self.reply(reply, done);
            }
            Message::Status { job, reply } => {
                let report = self.report(job);
                self.reply(reply, report);
            }
        }
    }

    /// Answers once the journal is written. Whoever asked may be gone; then nobody waits for the answer.
    fn reply<T: Send + 'static>(&mut self, reply: Reply<T>, answer: Result<T, CoordinatorError>) {
        self.replies.push(Box::new(move || drop(reply.send(answer))));
    }

    fn job(&self, name: &JobName) -> Result<&Job, CoordinatorError> {
        self.jobs.get(name).ok_or_else(|| CoordinatorError::JobUnknown { job: name.clone() })
    }
}

/// Runs something that blocks where that is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Blocking work is cancelled only when the runtime itself stops.
            Err(_) => std::future::pending().await,
        },
    }
}
