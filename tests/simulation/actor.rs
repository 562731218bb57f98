//! What the coordinator's edge does for each message, command and answer (`federated-server/src/coordinator/actor`,
//! `grpc/upload.rs`).

use federated_client::event::JobOutcome;
use federated_client::simulation::{EndedJob, Input};
use federated_core::{
    ids::{Digest, RoundNumber, TaskId},
    job::JobEvent,
    metrics::Metrics,
    round::{Admission, Command, Event, OutReason, Receipt, RoundPhase, RoundSummary, RunEnd, UpdateKind},
    update::ExampleCount,
};
use federated_proto::convert::ModelContent;

use crate::{
    books::Sight,
    coordinator::{Aggregation, Message, Order, Reply, Session, Task},
    names::{self, Slot},
    network::{Answer, Call, Kind, Stage},
    planted::Plant,
    violation::Violation,
    world::{World, terms},
};

impl World {
    pub(crate) fn take(&mut self, message: Message) -> Result<(), Violation> {
        match message {
            Message::Attend { site, connection } => self.attend(site, connection),
            Message::Leave { site, session } => self.leave(site, session),
            Message::Admit { call } => {
                if let Some(admitted) = self.admit(call) {
                    self.later(Reply::Admitted { call, admitted });
                }
                Ok(())
            }
            Message::Stored { call } => self.stored(call),
            Message::Declined { call } => self.declined(call),
            Message::Downloaded { job } => self.event(job, JobEvent::Downloaded { bytes: 4 }),
            Message::Aggregated { task, result } => {
                let job = names::job_of(&task.job);
                let event = match result {
                    Ok(model) => Event::ModelPublished { task, model },
                    Err(reason) => Event::AggregationFailed { task, reason },
                };
                self.round(job, event)
            }
            Message::Operator { job, order } => self.order(job, order),
        }
    }

    fn later(&mut self, reply: Reply) {
        if let Some(process) = &mut self.coordinator.process {
            process.replies.push_back(reply);
        }
    }

    fn attend(&mut self, site: usize, connection: usize) -> Result<(), Violation> {
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        process.next_session += 1;
        let number = process.next_session;
        let earlier = process.sessions.insert(site, Session { number, connection });
        self.net.connections[connection].session = Some(number);
        let untold = process.jobs.iter().enumerate().filter_map(|(index, job)| {
            job.as_ref().is_some_and(|job| job.untold().contains(names::site(site))).then_some(index)
        });
        process.commands.extend(untold.map(|job| (job, Task::Tell { site })));
        if let Some(earlier) = earlier {
            self.books.see(Sight::StreamReplaced);
            self.net.sever(earlier.connection, self.now, self.now, false);
        }
        self.all(&Event::Joined(names::site(site).clone()))?;
        self.later(Reply::Attended { connection, session: number });
        Ok(())
    }

    fn leave(&mut self, site: usize, session: u64) -> Result<(), Violation> {
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        // A later stream of the participant goes on.
        if process.sessions.get(&site).is_some_and(|open| open.number == session) {
            process.sessions.remove(&site);
            self.all(&Event::Left(names::site(site).clone()))?;
        }
        Ok(())
    }

    fn admit(&mut self, call: u32) -> Option<Result<Admission, federated_core::round::AdmissionError>> {
        let call = self.net.find(call)?;
        let (site, task) = (call.site, call.task.clone());
        let (Kind::Query { content } | Kind::Submit { content }) = call.kind else { return None };
        let job = self.coordinator.job(names::job_of(&task.job))?;
        Some(job.run().admit(names::site(site), &task, content))
    }

    fn stored(&mut self, id: u32) -> Result<(), Violation> {
        // The round may have closed while the bytes came.
        let Some(admitted) = self.admit(id) else { return Ok(()) };
        if matches!(admitted, Ok(Admission::Welcome))
            && let Some(Call { site, task, kind: Kind::Submit { content }, .. }) = self.net.find(id).cloned()
        {
            self.books.counted(&task, site, content)?;
            let encoding = federated_core::compression::Encoding::PLAIN;
            let (examples, metrics) = (ExampleCount::ONE, Metrics::new());
            let kind = UpdateKind::Open { encoding, examples, metrics };
            let receipt = Receipt { content, bytes: 4, kind };
            let (job, participant) = (names::job_of(&task.job), names::site(site).clone());
            self.round(job, Event::UpdateStored { participant, task, receipt })?;
        }
        self.later(Reply::Stored { call: id, admitted });
        Ok(())
    }

    fn declined(&mut self, id: u32) -> Result<(), Violation> {
        let Some(Call { site, task, kind: Kind::Decline { reason }, .. }) = self.net.find(id).cloned() else {
            return Ok(());
        };
        let (job, participant) = (names::job_of(&task.job), names::site(site).clone());
        // Whoever is not at work on the task has nothing to report.
        if self.coordinator.job(job).is_some_and(|job| job.run().expects(&participant, &task)) {
            let reason = OutReason::Declined { code: reason, message: String::new() };
            self.round(job, Event::MemberFailed { participant, task, reason })?;
        }
        self.later(Reply::DeclineNoted { call: id });
        Ok(())
    }

    fn order(&mut self, job: usize, order: Order) -> Result<(), Violation> {
        let Some(process) = &self.coordinator.process else { return Ok(()) };
        let present = process.sessions.keys().map(|site| names::site(*site).clone()).collect();
        let operator = "ops".to_owned();
        let ended = process.jobs[job].as_ref().map(|job| job.run().has_ended());
        match (order, ended) {
            (Order::Start, None) => {
                self.event(job, JobEvent::Created { terms: Box::new(terms(&self.setup, job)), present })?;
                self.round(job, Event::Tick)
            }
            (Order::Stop, Some(false)) => {
                self.books.excuses.stopped.insert(job);
                self.round(job, Event::StopRequested { operator })
            }
            (Order::Hold { queue }, Some(false)) => self.round(job, Event::Held(Order::hold(queue))),
            (Order::Release, Some(false)) => self.round(job, Event::Released),
            (Order::Retry, Some(true)) => {
                self.books.see(Sight::Retried);
                self.books.heard.retain(|(ended, _)| *ended != job);
                self.round(job, Event::RetryRequested { operator, present })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn carry_out(&mut self, job: usize, command: Command) -> Result<(), Violation> {
        match command {
            Command::Dispatch { participant, task, .. } => {
                let site = names::site_of(&participant);
                let current = self.coordinator.job(job).filter(|job| job.run().task() == task);
                if let Some(train) = current.map(|job| job.task_for(&participant, true)) {
                    self.direct(site, Input::Train(train));
                }
            }
            Command::Withdraw { participant, task, reason } => {
                let (reason, message) = (reason.reason().to_string(), String::new());
                self.direct(names::site_of(&participant), Input::Withdrawn { task, reason, message });
            }
            Command::Aggregate { task, contributions, .. } => {
                let Some(base) = self.coordinator.job(job).map(|job| job.run().model()) else {
                    return Ok(());
                };
                let by_site = |(name, receipt)| (names::site_of(&name), receipt);
                let contributions = contributions.into_iter().map(by_site).collect();
                if let Some(process) = &mut self.coordinator.process {
                    process.aggregations.push(Aggregation { task, contributions, base, result: None });
                }
            }
            Command::RoundEnded(summary) => self.round_ended(job, &summary),
            Command::Finished(_) => {
                let Some(process) = &self.coordinator.process else { return Ok(()) };
                let present: Vec<usize> = process.sessions.keys().copied().collect();
                present.into_iter().try_for_each(|site| self.tell_end(job, site))?;
                self.coordinator.spool.retain(|slot, _| slot.job != job);
            }
            _ => {}
        }
        Ok(())
    }

    fn direct(&mut self, site: usize, directive: Input) -> bool {
        let process = self.coordinator.process.as_ref();
        let Some(session) = process.and_then(|process| process.sessions.get(&site)) else { return false };
        self.net.direct(session.connection, directive);
        true
    }

    /// Tells a participant how a job ended, and notes that; where the job goes on again there is nothing to tell.
    pub(crate) fn tell_end(&mut self, index: usize, site: usize) -> Result<(), Violation> {
        let Some(job) = self.coordinator.job(index) else { return Ok(()) };
        let RoundPhase::Ended(end) = job.run().phase() else { return Ok(()) };
        let outcome = match end {
            RunEnd::Completed => JobOutcome::Completed,
            RunEnd::Failed { .. } => JobOutcome::Failed,
            _ => JobOutcome::Stopped,
        };
        let model = Some(ModelContent { layout: job.terms().layout.clone(), digest: job.run().model() });
        let is_untold = job.untold().contains(names::site(site));
        let ended = EndedJob { job: job.name().clone(), outcome, message: String::new(), model };
        if self.direct(site, Input::JobEnded(ended)) && is_untold {
            self.event(index, JobEvent::Told { participant: names::site(site).clone() })?;
        }
        Ok(())
    }

    fn round_ended(&mut self, index: usize, summary: &RoundSummary) {
        let Some(job) = self.coordinator.job(index) else { return };
        let completed = job.run().history().iter().filter_map(|round| round.outcome.as_ref().ok());
        // The model that this round started from: the newest but one.
        let old = completed.rev().nth(1).copied();
        let task = TaskId { job: job.name().clone(), round: summary.round, attempt: summary.attempt };
        self.coordinator.spool.retain(|slot, _| !slot.is_of(&task));
        if let Some(old) = old {
            self.remove_model(old);
        }
    }

    pub(crate) fn reply(&mut self, reply: Reply) -> Result<(), Violation> {
        match reply {
            Reply::Attended { connection, session } => {
                let connection = &mut self.net.connections[connection];
                connection.attended = connection.session == Some(session) && !connection.broken;
            }
            Reply::DeclineNoted { call } => self.net.answer(call, Answer::DeclineNoted),
            Reply::Admitted { call, admitted } => {
                let Some(found) = self.net.find(call).map(|call| call.clone()) else { return Ok(()) };
                match (admitted, &found.kind) {
                    (Err(error), _) => self.refuse(call, error.reason().as_str(), false),
                    (Ok(Admission::Duplicate(receipt)), kind) => {
                        let is_query = matches!(kind, Kind::Query { .. });
                        let answer =
                            if is_query { Answer::Complete } else { Answer::Receipt { duplicate: true } };
                        self.give_receipt(&found, receipt.content, answer)?;
                    }
                    (Ok(_), Kind::Query { .. }) => {
                        self.supersede(found.site, call);
                        self.net.answer(call, Answer::Wanted);
                    }
                    (Ok(_), _) if found.superseded => self.refuse(call, "UPLOAD_SUPERSEDED", true),
                    (Ok(_), _) => {
                        if let Some(call) = self.net.find(call) {
                            call.stage = Stage::Spooling;
                        }
                    }
                }
            }
            Reply::Stored { call, admitted } => {
                let Some(found) = self.net.find(call).map(|call| call.clone()) else { return Ok(()) };
                match (admitted, &found.kind) {
                    (Err(error), _) => self.refuse(call, error.reason().as_str(), false),
                    (Ok(_), Kind::Submit { content }) => {
                        self.give_receipt(&found, *content, Answer::Receipt { duplicate: false })?;
                    }
                    (Ok(_), _) => {}
                }
            }
        }
        Ok(())
    }

    fn give_receipt(&mut self, call: &Call, content: Digest, answer: Answer) -> Result<(), Violation> {
        self.books.receipt(&call.task, call.site, content)?;
        if answer != (Answer::Receipt { duplicate: false }) {
            self.books.see(Sight::ReceiptAgain);
            *self.books.repeated.entry(Slot::new(&call.task, call.site)).or_default() += 1;
        }
        self.net.answer(call.id, answer);
        Ok(())
    }

    fn refuse(&mut self, call: u32, reason: &str, retry: bool) {
        if matches!(reason, "TASK_FINISHED" | "ROUND_CLOSED") {
            self.books.see(Sight::Late);
        }
        self.net.answer(call, Answer::Refused { reason: reason.to_owned(), retry });
    }

    /// An earlier upload of a participant that began another ends, unless its bytes are durable.
    pub(crate) fn supersede(&mut self, site: usize, by: u32) {
        let earlier: Vec<u32> = self
            .net
            .calls
            .iter_mut()
            .filter_map(|call| {
                let upload = call.site == site && call.id != by && matches!(call.kind, Kind::Submit { .. });
                call.superseded |= upload && call.stage == Stage::Waiting;
                (upload && call.stage == Stage::Spooling).then_some(call.id)
            })
            .collect();
        for call in earlier {
            self.books.see(Sight::UploadReplaced);
            self.refuse(call, "UPLOAD_SUPERSEDED", true);
        }
    }

    /// An upload's bytes are durable.
    pub(crate) fn spool(&mut self, index: usize) {
        let call = &mut self.net.calls[index];
        let (Kind::Submit { content }, Some(process)) = (&call.kind, &mut self.coordinator.process) else {
            return;
        };
        self.trace.note(0x60 + call.site as u64, || format!("the update of site-{} is durable", call.site));
        self.coordinator.spool.insert(Slot::new(&call.task, call.site), *content);
        call.stage = Stage::Storing;
        process.mailbox.push_back(Message::Stored { call: call.id });
    }

    /// An aggregation gets on: it writes the model, then it says so.
    pub(crate) fn aggregate(&mut self, index: usize) -> Result<(), Violation> {
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        let task = process.aggregations[index].task.clone();
        self.trace.note(0x80, || format!("the aggregation of {task} gets on"));
        if let Some(result) = process.aggregations[index].result.take() {
            process.aggregations.remove(index);
            process.mailbox.push_back(Message::Aggregated { task, result });
            return Ok(());
        }
        let result = if std::mem::take(&mut self.coordinator.fails_next) {
            self.books.excuses.failed_aggregation = true;
            Err("the disk is full".to_owned())
        } else {
            self.combine(index)?
        };
        if let Some(process) = &mut self.coordinator.process {
            process.aggregations[index].result = Some(result);
        }
        Ok(())
    }

    fn combine(&mut self, index: usize) -> Result<Result<Digest, String>, Violation> {
        let Some(process) = &self.coordinator.process else { return Ok(Err(String::new())) };
        let Aggregation { task, contributions, base, .. } = &process.aggregations[index];
        let job = names::job_of(&task.job);
        // A job that was stopped meanwhile takes its updates along.
        let is_wanted = process.jobs[job].as_ref().is_some_and(|job| {
            job.run().task() == *task && matches!(job.run().phase(), RoundPhase::Aggregating { .. })
        });
        let Some(base) = self.coordinator.models.get(base) else {
            return if is_wanted { Err(Violation::ModelGone { job }) } else { Ok(Err("gone".to_owned())) };
        };
        let mut model = base.clone();
        let round: RoundNumber = task.round;
        let left_out = usize::from(self.plant == Some(Plant::LeavesOneOut) && contributions.len() > 1);
        for (site, receipt) in contributions.iter().skip(left_out) {
            if self.coordinator.spool.get(&Slot::new(task, *site)) != Some(&receipt.content) {
                let differs = Violation::SpoolDiffers { task: task.clone(), site: *site };
                return if is_wanted { Err(differs) } else { Ok(Err("gone".to_owned())) };
            }
            let again = match self.plant {
                Some(Plant::CountsRepeats) => self.books.repeated.get(&Slot::new(task, *site)).copied(),
                _ => None,
            };
            (0..=again.unwrap_or_default()).for_each(|_| model.add(job, round, *site));
        }
        Ok(Ok(self.coordinator.models.put(model)))
    }
}
