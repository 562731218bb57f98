//! The task at the other end of every [`Coordinator`] handle: takes messages, writes the state, then answers.
//! `carry_out` is what it does when the round machine commands it.

mod carry_out;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use federated_core::{
    config::JobConfig,
    ids::{Digest, JobName, ParticipantName, TaskId},
    round::{Admission, Command, Event, OutReason, Receipt, Run},
    selection::UniformSelector,
    time::Timestamp,
};
use federated_proto::{
    convert::{ModelContent, UpdateHeader},
    v1::{self, directive::Kind},
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Coordinator, CoordinatorError,
    job::{Incident, Job},
    message::{Admitted, Directives, Message, Reply, Wanted},
    sessions::Sessions,
    status,
};
use crate::store::{Store, StoreError};

/// How many messages are handled before the state is written once for all of them.
const BATCH: usize = 256;
/// How long to wait before a failed write of the state is tried again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// An answer that waits until the state it speaks of is durable.
type Deferred = Box<dyn FnOnce() + Send>;

/// The task that owns every run.
pub(crate) struct Actor {
    store: Arc<Store>,
    handle: Coordinator,
    messages: mpsc::Receiver<Message>,
    changes: watch::Sender<u64>,
    sessions: Sessions,
    jobs: BTreeMap<JobName, Job>,
    /// When time alone will change a job.
    wake: BTreeMap<JobName, Timestamp>,
    /// Jobs whose state on disk is old.
    dirty: BTreeSet<JobName>,
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

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

impl Actor {
    /// Reads back every job and goes on with those that have not ended.
    ///
    /// # Errors
    /// [`StoreError`] when a job's record cannot be read.
    pub(crate) fn load(store: Arc<Store>) -> Result<(Self, Coordinator), StoreError> {
        let (changes, receiver) = watch::channel(0);
        let (handle, messages) = Coordinator::new(receiver);
        let mut actor = Self {
            handle: handle.clone(),
            messages,
            changes,
            sessions: Sessions::default(),
            jobs: BTreeMap::new(),
            wake: BTreeMap::new(),
            dirty: BTreeSet::new(),
            presence_changed: false,
            commands: Vec::new(),
            replies: Vec::new(),
            store,
        };
        for mut job in actor.store.load_records::<Job>()? {
            let (run, commands) = job.run.resumed(now());
            job.run = run;
            job.balance();
            let name = job.name().clone();
            actor.commands.extend(commands.into_iter().map(|command| (name.clone(), command)));
            tracing::info!(job = %name, round = %job.run.round(), ended = job.has_ended(), "read back");
            actor.jobs.insert(name, job);
        }
        // What a crash kept from being removed.
        for job in actor.jobs.values().filter(|job| job.has_ended()) {
            actor.store.remove_job_updates(job.name())?;
        }
        let models = actor.jobs.values().flat_map(|job| [job.initial_model, job.run.model()]);
        actor.store.retain_models(&models.collect())?;
        Ok((actor, handle))
    }

    /// Works until `shutdown` is cancelled.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        self.tick();
        loop {
            if !self.settle(&shutdown).await {
                break;
            }
            let wake = self.next_wake();
            tokio::select! {
                () = shutdown.cancelled() => break,
                count = self.messages.recv_many(&mut batch, BATCH) => if count == 0 { break },
                () = tokio::time::sleep_until(wake) => self.tick(),
            }
            // Whoever is about to speak is heard first: one record then serves them all.
            tokio::task::yield_now().await;
            while batch.len() < BATCH
                && let Ok(message) = self.messages.try_recv()
            {
                batch.push(message);
            }
            batch.drain(..).for_each(|message| self.take(message));
        }
        self.sessions.shut_down();
        tracing::info!("the coordinator has stopped; every job goes on when it is started again");
    }

    fn next_wake(&self) -> Instant {
        const FAR: Duration = Duration::from_secs(3_600);
        let wait = self.wake.values().min().map_or(FAR, |at| at.since(now()).min(FAR));
        Instant::now() + wait
    }

    /// Writes what changed, then sends what was waiting for that. False when the coordinator stops meanwhile.
    async fn settle(&mut self, shutdown: &CancellationToken) -> bool {
        let presence_changed = std::mem::take(&mut self.presence_changed);
        let changed = presence_changed || !self.dirty.is_empty() || !self.commands.is_empty();
        while !self.dirty.is_empty() {
            if let Err(error) = self.save().await {
                tracing::error!(%error, "cannot write the state; nothing is confirmed until this works again");
                if tokio::time::timeout(STORE_RETRY, shutdown.cancelled()).await.is_ok() {
                    return false;
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
        true
    }

    async fn save(&mut self) -> Result<(), StoreError> {
        let records: Vec<Job> = self.dirty.iter().filter_map(|name| self.jobs.get(name).cloned()).collect();
        let store = Arc::clone(&self.store);
        blocking(move || records.iter().try_for_each(|job| store.save_record(job.name(), job))).await?;
        self.dirty.clear();
        Ok(())
    }

    fn tick(&mut self) {
        let active: Vec<_> = self.active().cloned().collect();
        active.iter().for_each(|job| self.event(job, Event::Tick));
    }

    fn active(&self) -> impl Iterator<Item = &JobName> {
        self.jobs.iter().filter(|(_, job)| !job.has_ended()).map(|(name, _)| name)
    }

    /// Gives an event to a job's run and keeps what is to be done.
    fn event(&mut self, name: &JobName, event: Event) {
        let Some(job) = self.jobs.get_mut(name) else {
            return;
        };
        match job.run.clone().handle(event, &UniformSelector, now()) {
            Ok((run, commands)) => {
                if run != job.run {
                    self.dirty.insert(name.clone());
                }
                job.run = run;
                job.balance();
                self.wake.remove(name);
                for command in commands {
                    match command {
                        Command::WakeAt(at) => drop(self.wake.insert(name.clone(), at)),
                        other => self.commands.push((name.clone(), other)),
                    }
                }
            }
            Err(error) => tracing::error!(job = %name, %error, "an event made no sense and was left out"),
        }
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
            Message::Downloaded { model, bytes } => {
                if let Some(job) = self.jobs.values_mut().find(|job| job.needs(model)) {
                    job.traffic.down += bytes;
                }
            }
            Message::Aggregated { task, result } => {
                let job = task.job.clone();
                let event = match result {
                    Ok(model) => Event::ModelPublished { task, model },
                    Err(reason) => Event::AggregationFailed { task, reason },
                };
                self.event(&job, event);
            }
            Message::Start { config, model, reply } => {
                let started = self.start(*config, model);
                self.reply(reply, started);
            }
            Message::Stop { job, operator, reply } => {
                let stopped = self.stop(&job, operator);
                self.reply(reply, stopped);
            }
            Message::Status { job, reply } => {
                let report = self.report(job);
                self.reply(reply, report);
            }
        }
    }

    /// Answers once the state is durable. Whoever asked may be gone; then nobody waits for the answer.
    fn reply<T: Send + 'static>(&mut self, reply: Reply<T>, answer: Result<T, CoordinatorError>) {
        self.replies.push(Box::new(move || drop(reply.send(answer))));
    }

    fn attend(
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
        let active: Vec<_> = self.active().cloned().collect();
        active.iter().for_each(|job| self.event(job, Event::Joined(participant.clone())));
        self.reply(reply, Ok(session));
    }

    fn tell_of_ended_jobs(&mut self, participant: &ParticipantName) {
        for (name, job) in &mut self.jobs {
            if job.untold.contains(participant)
                && let Some(ended) = status::job_ended(job)
                && self.sessions.send(participant, Kind::JobEnded(ended))
            {
                job.untold.remove(participant);
                self.dirty.insert(name.clone());
            }
        }
    }

    fn leave(&mut self, participant: ParticipantName, session: u64) {
        if self.sessions.close(&participant, session) {
            tracing::info!(%participant, "left");
            self.presence_changed = true;
            let active: Vec<_> = self.active().cloned().collect();
            active.iter().for_each(|job| self.event(job, Event::Left(participant.clone())));
        }
    }

    fn job(&self, name: &JobName) -> Result<&Job, CoordinatorError> {
        self.jobs.get(name).ok_or_else(|| CoordinatorError::JobUnknown { job: name.clone() })
    }

    fn admit(
        &self,
        participant: &ParticipantName,
        task: &TaskId,
        content: Digest,
    ) -> Result<Admitted, CoordinatorError> {
        let job = self.job(&task.job)?;
        match job.run.admit(participant, task, content)? {
            Admission::Duplicate(receipt) => Ok(Admitted::Duplicate { bytes: receipt.bytes }),
            _ => Ok(Admitted::Welcome(Wanted { layout: job.layout.clone(), encoding: job.compression })),
        }
    }

    fn stored(&mut self, participant: ParticipantName, header: UpdateHeader, reply: Reply<()>) {
        let UpdateHeader { task, layout, content, encoding, bytes, examples, metrics } = header;
        // The round may have closed while the bytes came.
        let admitted = self.admit(&participant, &task, content);
        if matches!(admitted, Ok(Admitted::Welcome(_))) {
            if let Some(job) = self.jobs.get_mut(&task.job) {
                job.traffic.up += bytes;
                job.traffic.up_plain += layout.bytes();
            }
            tracing::info!(%participant, %task, examples = examples.get(), "update is durable");
            let receipt = Receipt { content, encoding, bytes, examples, metrics };
            self.event(&task.job.clone(), Event::UpdateStored { participant, task, receipt });
        }
        self.reply(reply, admitted.map(drop));
    }

    fn failed(&mut self, participant: ParticipantName, task: TaskId, reason: OutReason) {
        // Whoever is not at work on the task has nothing to report: it must not fill the operator's list.
        let Some(job) = self.jobs.get_mut(&task.job).filter(|job| job.run.expects(&participant, &task))
        else {
            tracing::debug!(%participant, %task, "{reason}, though not at work on it");
            return;
        };
        tracing::warn!(%participant, %task, "{reason}");
        let (OutReason::Declined { code, message } | OutReason::Refused { code, message }) = &reason else {
            return;
        };
        let incident = Incident {
            at: now(),
            participant: participant.clone(),
            reason: code.clone(),
            message: message.clone(),
        };
        job.note(incident);
        let name = task.job.clone();
        self.dirty.insert(name.clone());
        self.event(&name, Event::MemberFailed { participant, task, reason });
    }

    fn start(&mut self, config: JobConfig, model: ModelContent) -> Result<(), CoordinatorError> {
        let name = config.plan.job().clone();
        if self.jobs.contains_key(&name) {
            return Err(CoordinatorError::JobExists { job: name });
        }
        if let Some(active) = self.active().next() {
            return Err(CoordinatorError::JobActive { active: active.clone() });
        }
        let run = Run::new(config.plan.clone(), model.digest, self.sessions.present(), now());
        tracing::info!(job = %name, rounds = %config.plan.rounds(), "starts");
        self.jobs.insert(name.clone(), Job::new(config, model.layout, run, now()));
        self.dirty.insert(name.clone());
        self.event(&name, Event::Tick);
        Ok(())
    }

    fn stop(&mut self, name: &JobName, operator: String) -> Result<(), CoordinatorError> {
        if self.job(name)?.has_ended() {
            return Err(CoordinatorError::JobEnded { job: name.clone() });
        }
        self.event(name, Event::StopRequested { operator });
        Ok(())
    }

    fn report(&self, only: Option<JobName>) -> Result<v1::StatusReport, CoordinatorError> {
        let mut jobs: Vec<&Job> = match &only {
            Some(name) => vec![self.job(name)?],
            None => self.jobs.values().collect(),
        };
        jobs.sort_by_key(|job| job.started);
        Ok(v1::StatusReport {
            present: self.sessions.present().iter().map(ToString::to_string).collect(),
            jobs: jobs.into_iter().map(status::report).collect(),
            at_ms: now().as_millis(),
        })
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
