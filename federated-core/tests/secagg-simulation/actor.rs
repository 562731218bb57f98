//! What the coordinator does about each message, and about each command.

use std::{collections::BTreeMap, sync::Arc};

use federated_core::{
    ids::{Digest, Fingerprint, ParticipantName, TaskId},
    metrics::Metrics,
    privacy::secagg::{
        CoordinatorProtocol as _, CoordinatorSession, GroupSum, MessageAdmission, ParticipantMessage, Stage,
    },
    round::{Admission, AnswerError, Command, Event, OutReason, Receipt, UpdateKind},
};

use crate::{
    books::Sight,
    coordinator::{Aggregation, content},
    names::{self, Attempt},
    network::{Directive, Progress, Request},
    planted::Plant,
    vector,
    violation::Violation,
    world::World,
};

impl World {
    pub(crate) fn attend(&mut self, site: usize, connection: usize) -> Result<(), Violation> {
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        process.sessions.insert(site, connection);
        self.round(Event::Joined(names::name(site).clone()))
    }

    /// The coordinator notices that a connection is broken, unless there is a newer one.
    pub(crate) fn leave(&mut self, site: usize) -> Result<(), Violation> {
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        process.sessions.remove(&site);
        self.round(Event::Left(names::name(site).clone()))
    }

    /// A request arrives at the coordinator.
    pub(crate) fn arrive(&mut self, place: usize) -> Result<(), Violation> {
        let (id, site) = (self.net.calls[place].id, self.net.calls[place].site);
        let request = Arc::clone(&self.net.calls[place].request);
        self.net.calls[place].progress = Progress::Waiting;
        match request.as_ref() {
            Request::Answer { task, message } => {
                self.books.arrived(Attempt::of(task), site, message)?;
                let refused = self.answer(site, task, message)?;
                self.reply(id, refused);
            }
            Request::Upload { task, vector } => match self.admit(site, task, vector) {
                Some(Admission::Welcome) => {
                    self.coordinator.spool.insert((Attempt::of(task), site), Arc::clone(vector));
                    self.books.vector_arrived(Attempt::of(task), site)?;
                    self.net.calls[place].progress = Progress::Storing;
                }
                admission => {
                    if admission.is_none() && Attempt::of(task) == self.attempt() {
                        self.late(vector);
                    }
                    self.reply(id, admission.is_none());
                }
            },
            Request::Decline { task, reason } => {
                let (code, message) = (reason.clone(), "it says why".to_owned());
                self.failed(site, task, OutReason::Declined { code, message })?;
                self.reply(id, false);
            }
        }
        Ok(())
    }

    /// The vector of a request is durable.
    pub(crate) fn stored(&mut self, place: usize) -> Result<(), Violation> {
        let (id, site) = (self.net.calls[place].id, self.net.calls[place].site);
        let request = Arc::clone(&self.net.calls[place].request);
        self.net.calls[place].progress = Progress::Waiting;
        let Request::Upload { task, vector } = request.as_ref() else { return Ok(()) };
        // The round may have closed while the bytes came.
        let admission = self.admit(site, task, vector);
        if admission == Some(Admission::Welcome) {
            let receipt =
                Receipt { content: content(vector), bytes: vector.len() as u64, kind: UpdateKind::Masked };
            let (participant, task) = (names::name(site).clone(), task.clone());
            self.round(Event::UpdateStored { participant, task, receipt })?;
        } else if admission.is_none() {
            self.late(vector);
        }
        self.reply(id, admission.is_none());
        Ok(())
    }

    fn attempt(&self) -> Attempt {
        let job = self.coordinator.job().expect("there is a job");
        Attempt::of(&job.run().task())
    }

    fn late(&mut self, vector: &Arc<[u8]>) {
        self.books.see(Sight::Late);
        if let (Some(Plant::CountsLate), Some(process)) = (self.plant, &mut self.coordinator.process) {
            process.late.push(Arc::clone(vector));
        }
    }

    fn admit(&self, site: usize, task: &TaskId, vector: &[u8]) -> Option<Admission> {
        self.coordinator.job()?.run().admit(names::name(site), task, content(vector)).ok()
    }

    fn answer(
        &mut self,
        site: usize,
        task: &TaskId,
        message: &ParticipantMessage,
    ) -> Result<bool, Violation> {
        let Some(job) = self.coordinator.job() else { return Ok(true) };
        match job.run().admit_answer(names::name(site), task, message) {
            Ok(MessageAdmission::Welcome) => {
                let (participant, task, message) = (names::name(site).clone(), task.clone(), message.clone());
                self.round(Event::Answered { participant, task, message })?;
                Ok(false)
            }
            Ok(_) => {
                self.books.see(Sight::SaidTwice);
                Ok(false)
            }
            Err(error) => {
                // One whose keys or shares cannot be used has no further part; a late word changes nothing.
                if matches!(error, AnswerError::Session(_)) {
                    self.books.see(Sight::Refused);
                    let (code, message) = (error.reason().to_string(), error.to_string());
                    self.failed(site, task, OutReason::Refused { code, message })?;
                }
                Ok(true)
            }
        }
    }

    fn failed(&mut self, site: usize, task: &TaskId, reason: OutReason) -> Result<(), Violation> {
        let participant = names::name(site).clone();
        let expects = self.coordinator.job().is_some_and(|job| job.run().expects(&participant, task));
        if !expects {
            return Ok(());
        }
        self.round(Event::MemberFailed { participant, task: task.clone(), reason })
    }

    fn reply(&mut self, id: u64, refused: bool) {
        if let Some(process) = &mut self.coordinator.process {
            process.replies.push_back((id, refused));
        }
    }

    /// Does what the job commands, and sends what waited for the log.
    pub(crate) fn act(&mut self) -> Result<(), Violation> {
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        let (commands, replies) =
            (std::mem::take(&mut process.commands), std::mem::take(&mut process.replies));
        commands.into_iter().try_for_each(|command| self.carry_out(command))?;
        replies.into_iter().for_each(|(id, refused)| self.net.answer(id, refused));
        Ok(())
    }

    fn carry_out(&mut self, command: Command) -> Result<(), Violation> {
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        let job = &process.job;
        let (to, directives) = match command {
            Command::Dispatch { participant, task, .. } if job.run().expects(&participant, &task) => {
                let task = job.task_for(&participant, true);
                (participant, vec![Directive::Train(Box::new(task))])
            }
            Command::Withdraw { participant, task, .. } => (participant, vec![Directive::Withdraw { task }]),
            Command::Tell { participant, task } if job.run().task() == task => {
                let mut directives = Vec::new();
                for message in job.run().told(&participant) {
                    self.books.told(Attempt::of(&task), names::site_of(&participant), &message)?;
                    directives.push(Directive::Secure { task: task.clone(), message: Arc::new(message) });
                }
                (participant, directives)
            }
            Command::Aggregate { task, contributions, session } => {
                let groups = session.expect("every task is secure");
                let session = groups.open().next().expect("one group").clone();
                process.aggregations.push_back(Aggregation { task, contributions, session });
                return Ok(());
            }
            Command::RoundEnded(summary) => {
                process.late.clear();
                return self.books.check_attempt(&summary);
            }
            _ => return Ok(()),
        };
        if let Some(connection) = process.sessions.get(&names::site_of(&to)) {
            directives.into_iter().for_each(|directive| self.net.tell(*connection, directive));
        }
        Ok(())
    }

    /// Makes the oldest sum that was asked for.
    pub(crate) fn aggregate(&mut self) -> Result<(), Violation> {
        let Some(process) = &mut self.coordinator.process else { return Ok(()) };
        let Some(Aggregation { task, contributions, session }) = process.aggregations.pop_front() else {
            return Ok(());
        };
        let event = match self.unmasked(&task, &contributions, &session)? {
            Ok(model) => {
                let examples = contributions.len() as u64;
                let sum = GroupSum {
                    session: session.id().expect("who takes part is settled"),
                    survivors: session.survivors(),
                    sum: Fingerprint::of(model.as_bytes()),
                };
                Event::SumPublished { task, model, examples, metrics: Metrics::new(), sums: vec![sum] }
            }
            Err(reason) => {
                self.books.see(Sight::NotUnmasked);
                Event::AggregationFailed { task, reason }
            }
        };
        self.round(event)
    }

    fn unmasked(
        &mut self,
        task: &TaskId,
        contributions: &BTreeMap<ParticipantName, Receipt>,
        session: &CoordinatorSession,
    ) -> Result<Result<Digest, String>, Violation> {
        assert_eq!(session.stage(), Stage::Unmask);
        let unmasking = match session.unmasking() {
            Ok(unmasking) => unmasking,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if !unmasking.liars.is_empty() {
            self.books.see(Sight::LiarFound);
        }
        let (attempt, plan) = (Attempt::of(task), session.header().terms.vector());
        let mut vectors = Vec::new();
        for (name, receipt) in contributions {
            let site = names::site_of(name);
            let vector = self.coordinator.spool.get(&(attempt, site));
            let vector = vector.filter(|vector| content(vector) == receipt.content);
            vectors.push(Arc::clone(vector.ok_or(Violation::SpoolDiffers { attempt, site })?));
        }
        if let Some(process) = &mut self.coordinator.process {
            vectors.append(&mut process.late);
        }
        let mut sum = vector::sum(plan, vectors.iter().map(AsRef::as_ref));
        vector::apply(plan, &unmasking.masks, &mut sum);
        let contributors = contributions.keys().map(names::site_of).collect();
        self.books.summed(plan, attempt, contributors, &sum).map(Ok)
    }
}
