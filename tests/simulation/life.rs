//! Ordinary life, one step at a time: whatever can happen next is equally likely.

use crate::{
    coordinator::{Message, Order},
    network::{Answer, Kind, Stage},
    schedule::{Moment, Party},
    site::Occurrence,
    violation::Violation,
    world::{LONGEST, World},
};

/// Something that can happen now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Connect {
        site: usize,
    },
    SiteNotices {
        connection: usize,
    },
    CoordinatorNotices {
        connection: usize,
    },
    /// The next directive arrives; before the first one, the answer to the participant that attends.
    Direct {
        connection: usize,
    },
    Arrive {
        call: usize,
    },
    Spool {
        call: usize,
    },
    Answer {
        call: usize,
    },
    Session {
        site: usize,
    },
    Train {
        site: usize,
    },
    Mailbox,
    Settle,
    Wake,
    Aggregate {
        index: usize,
    },
}

/// Steps that a run takes at most once the faults have stopped: some twenty times what the longest one needs.
const BOUND: usize = 10_000;
/// Steps that are taken at most in search of a moment.
const SEARCH: usize = 60;

impl World {
    pub(crate) fn go(&mut self, steps: usize) -> Result<(), Violation> {
        for _ in 0..steps {
            if !self.step()? {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn until(&mut self, moment: Moment) -> Result<(), Violation> {
        for _ in 0..SEARCH {
            if self.is_at(moment) || !self.step()? {
                break;
            }
        }
        Ok(())
    }

    fn is_at(&self, moment: Moment) -> bool {
        let process = self.coordinator.process.as_ref();
        let mut calls = self.net.calls.iter();
        match moment {
            Moment::Logged => process.is_some_and(|process| !process.is_idle()),
            Moment::Spooled => calls.any(|call| call.stage == Stage::Storing),
            Moment::Aggregated => {
                process.is_some_and(|process| process.aggregations.iter().any(|work| work.result.is_some()))
            }
            Moment::Trained => self.sites.iter().any(|site| {
                let training = site.process.as_ref().and_then(|process| process.training.as_ref());
                training.is_some_and(|training| training.kept)
            }),
            Moment::Receipt => calls.any(|call| {
                matches!(call.stage, Stage::Answering(Answer::Receipt { .. } | Answer::Complete))
            }),
        }
    }

    /// The faults stop: everyone is there, every message arrives, nothing is held, and time passes. Then every job ends.
    pub(crate) fn fair(&mut self) -> Result<(), Violation> {
        self.trace.note(0xFA, || "the faults stop".to_owned());
        for site in &mut self.sites {
            (site.cut_off, site.fails_next) = (false, false);
            site.start();
        }
        self.coordinator.fails_next = false;
        for connection in &mut self.net.connections {
            for notices in [&mut connection.site_notices, &mut connection.coordinator_notices] {
                *notices = notices.map(|at| at.min(self.now));
            }
        }
        self.restart(Party::Coordinator)?;
        self.fair = true;
        for job in 0..usize::from(self.setup.jobs) {
            self.order_for(job, Order::Start);
            self.order_for(job, Order::Release);
        }
        for _ in 0..BOUND {
            if self.step()? {
                continue;
            }
            let Some(job) = self.goes_on() else { return Ok(()) };
            let next = self.next_timer().ok_or(Violation::Endless { job })?;
            let millis = next - self.now;
            self.trace.note(millis, || format!("{millis} ms pass"));
            if millis > LONGEST {
                return Err(Violation::Waits { millis });
            }
            (self.now, self.books.excuses.time) = (next, true);
        }
        Err(Violation::Endless { job: self.goes_on().unwrap_or_default() })
    }

    /// A job that has not ended.
    fn goes_on(&self) -> Option<usize> {
        (0..usize::from(self.setup.jobs))
            .find(|job| !self.coordinator.job(*job).is_some_and(|job| job.run().has_ended()))
    }

    fn next_timer(&self) -> Option<u64> {
        let alarm = self.coordinator.process.as_ref().and_then(|process| process.alarm);
        let calls = self.net.calls.iter().map(|call| call.not_before);
        calls.filter(|at| *at > self.now).chain(alarm).min()
    }

    pub(crate) fn order_for(&mut self, job: usize, order: Order) {
        if let Some(process) = &mut self.coordinator.process {
            process.mailbox.push_back(Message::Operator { job, order });
        }
    }

    fn step(&mut self) -> Result<bool, Violation> {
        let mut steps = std::mem::take(&mut self.steps);
        self.possible(&mut steps);
        let chosen = match steps.len() {
            0 => None,
            count => Some(steps[self.dice.below(count)]),
        };
        steps.clear();
        self.steps = steps;
        self.now += 1;
        match chosen {
            Some(step) => self.take_step(step).map(|()| true),
            None => Ok(false),
        }
    }

    fn possible(&self, steps: &mut Vec<Step>) {
        let running = self.coordinator.process.as_ref();
        for (index, site) in self.sites.iter().enumerate() {
            let Some(process) = &site.process else { continue };
            if !process.queue.is_empty() {
                steps.push(Step::Session { site: index });
            }
            if process.training.is_some() {
                steps.push(Step::Train { site: index });
            }
            match process.attendance {
                None if !site.cut_off && running.is_some() => steps.push(Step::Connect { site: index }),
                Some(connection) => self.possible_on(connection, steps),
                None => {}
            }
        }
        for (index, call) in self.net.calls.iter().enumerate() {
            match call.stage {
                _ if call.not_before > self.now => {}
                Stage::Travelling if running.is_some() => steps.push(Step::Arrive { call: index }),
                Stage::Spooling => steps.push(Step::Spool { call: index }),
                Stage::Answering(_) => steps.push(Step::Answer { call: index }),
                _ => {}
            }
        }
        let Some(process) = running else { return };
        for (index, connection) in self.net.connections.iter().enumerate() {
            let noticed = connection.coordinator_notices.is_some_and(|at| at <= self.now);
            if noticed && connection.session.is_some() {
                steps.push(Step::CoordinatorNotices { connection: index });
            }
        }
        steps.extend((0..process.aggregations.len()).map(|index| Step::Aggregate { index }));
        if !process.is_idle() {
            steps.push(Step::Settle);
        } else if process.alarm.is_some_and(|at| at <= self.now) {
            steps.push(Step::Wake);
        } else if !process.mailbox.is_empty() {
            steps.push(Step::Mailbox);
        }
    }

    /// What can happen on the connection that a participant holds for open.
    fn possible_on(&self, index: usize, steps: &mut Vec<Step>) {
        let connection = &self.net.connections[index];
        if connection.broken && connection.site_notices.is_some_and(|at| at <= self.now) {
            steps.push(Step::SiteNotices { connection: index });
        }
        if connection.attended && (!connection.up || !connection.stream.is_empty()) {
            steps.push(Step::Direct { connection: index });
        }
    }

    fn take_step(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Connect { site } => self.connect(site),
            Step::SiteNotices { connection } => self.site_notices(connection),
            Step::CoordinatorNotices { connection } => self.coordinator_notices(connection),
            Step::Direct { connection } => self.deliver(connection),
            Step::Arrive { call } => self.arrive(call),
            Step::Spool { call } => self.spool(call),
            Step::Answer { call } => {
                let call = self.net.calls.remove(call);
                let Stage::Answering(answer) = &call.stage else { return Ok(()) };
                let answer = answer.clone();
                self.trace.note(0x20, || format!("site-{} is answered {answer:?}", call.site));
                return self.answered(&call, Some(answer));
            }
            Step::Session { site } => return self.session(site),
            Step::Train { site } => self.train(site),
            Step::Mailbox => return self.mailbox(),
            Step::Settle => return self.settle(),
            Step::Wake => return self.wake(),
            Step::Aggregate { index } => return self.aggregate(index),
        }
        Ok(())
    }

    fn connect(&mut self, site: usize) {
        let (Some(process), Some(coordinator)) =
            (&mut self.sites[site].process, &mut self.coordinator.process)
        else {
            return;
        };
        let connection = self.net.open(site);
        process.attendance = Some(connection);
        coordinator.mailbox.push_back(Message::Attend { site, connection });
        self.trace.note(0x10 + site as u64, || format!("site-{site} connects"));
    }

    fn site_notices(&mut self, index: usize) {
        let connection = &mut self.net.connections[index];
        connection.site_notices = None;
        let site = connection.site;
        self.trace.note(0x11, || format!("site-{site} notices that its connection is gone"));
        if let Some(process) = &mut self.sites[site].process {
            process.attendance = None;
            process.queue.push_back(Occurrence::Down);
        }
    }

    fn coordinator_notices(&mut self, index: usize) {
        let connection = &mut self.net.connections[index];
        connection.coordinator_notices = None;
        let site = connection.site;
        self.trace.note(0x12, || format!("the coordinator notices that a connection of site-{site} is gone"));
        if let (Some(process), Some(session)) = (&mut self.coordinator.process, connection.session) {
            process.mailbox.push_back(Message::Leave { site, session });
        }
    }

    fn deliver(&mut self, index: usize) {
        let connection = &mut self.net.connections[index];
        let Some(process) = &mut self.sites[connection.site].process else { return };
        if connection.up {
            process.queue.extend(connection.stream.pop_front().map(Occurrence::Input));
        } else {
            connection.up = true;
            process.queue.push_back(Occurrence::Up(index));
        }
        self.trace.note(0x13, || format!("a directive reaches site-{}", connection.site));
    }

    fn arrive(&mut self, index: usize) {
        let call = &mut self.net.calls[index];
        let (id, site, job) = (call.id, call.site, crate::names::job_of(&call.task.job));
        self.trace.note(0x14, || format!("site-{site} calls {:?} for {}", call.kind, call.task));
        let Some(process) = &mut self.coordinator.process else { return };
        call.stage = Stage::Waiting;
        match call.kind.clone() {
            Kind::Fetch { model } => {
                let (found, unknown) =
                    (self.coordinator.models.get(&model).is_some(), "MODEL_UNKNOWN".to_owned());
                if found {
                    process.mailbox.push_back(Message::Downloaded { job });
                    self.net.answer(id, Answer::Model);
                } else {
                    self.net.answer(id, Answer::Refused { reason: unknown, retry: false });
                }
            }
            Kind::Decline { .. } => process.mailbox.push_back(Message::Declined { call: id }),
            Kind::Query { .. } => process.mailbox.push_back(Message::Admit { call: id }),
            Kind::Submit { .. } => {
                process.mailbox.push_back(Message::Admit { call: id });
                self.supersede(site, id);
            }
        }
    }
}
