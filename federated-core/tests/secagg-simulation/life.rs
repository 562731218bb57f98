//! Ordinary life, one step at a time: whatever can happen next is equally likely.

use crate::{
    books::Sight,
    names::Attempt,
    network::{Progress, Request},
    schedule::{Moment, Party},
    site::{Reaction, stage_of},
    violation::Violation,
    world::{LONGEST, World},
};

/// Something that can happen now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Connect {
        site: usize,
    },
    /// The next directive arrives.
    Direct {
        site: usize,
    },
    /// A participant masks its update.
    Mask {
        site: usize,
    },
    /// The coordinator notices that a connection is broken.
    Leave {
        site: usize,
    },
    Arrive {
        place: usize,
    },
    Store {
        place: usize,
    },
    Answer {
        place: usize,
    },
    Commit,
    Act,
    Wake,
    Aggregate,
}

/// Steps that a run takes at most once the faults have stopped: some ten times what the longest one needs.
const BOUND: usize = 3_000;
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
        let Some(process) = &self.coordinator.process else { return false };
        let mut calls = self.net.calls.iter();
        match moment {
            Moment::At(stage) => process.stage() == Some(stage),
            Moment::Sent(stage) => calls
                .any(|call| call.progress == Progress::Travelling && stage_of(&call.request) == Some(stage)),
            Moment::Unwritten => !process.unwritten.is_empty(),
            Moment::Written => process.must_act(),
            Moment::Spooled => calls.any(|call| call.progress == Progress::Storing),
            Moment::Aggregating => !process.aggregations.is_empty(),
            Moment::Ready => {
                self.sites.iter().any(|site| site.open().is_some_and(|open| open.masks.is_some()))
            }
        }
    }

    /// The faults stop: everyone is there, every message arrives, and time passes. Then the job ends.
    pub(crate) fn fair(&mut self) -> Result<(), Violation> {
        self.trace.note(0xFA, || "the faults stop".to_owned());
        for site in &mut self.sites {
            (site.cut_off, site.fails_next, site.lie) = (false, false, None);
            site.start();
        }
        self.restart(Party::Coordinator)?;
        self.fair = true;
        for _ in 0..BOUND {
            if self.coordinator.job().is_some_and(|job| job.run().has_ended()) && self.is_idle() {
                return Ok(());
            }
            if self.step()? {
                continue;
            }
            let next = self.next_timer().ok_or(Violation::Endless)?;
            let millis = next - self.now;
            self.trace.note(millis, || format!("{millis} ms pass"));
            if millis > LONGEST {
                return Err(Violation::Waits { millis });
            }
            self.now = next;
        }
        Err(Violation::Endless)
    }

    /// The coordinator has written and done all that it knows.
    fn is_idle(&self) -> bool {
        let process = self.coordinator.process.as_ref();
        process.is_none_or(|process| process.unwritten.is_empty() && !process.must_act())
    }

    fn next_timer(&self) -> Option<u64> {
        let process = self.coordinator.process.as_ref()?;
        let noticed = self.broken().map(|site| self.net.connections[process.sessions[&site]].noticed_at);
        noticed.chain(process.alarm).filter(|at| *at > self.now).min()
    }

    /// Sites whose connection is broken, and the coordinator takes it for open.
    fn broken(&self) -> impl Iterator<Item = usize> {
        let sessions = self.coordinator.process.iter().flat_map(|process| &process.sessions);
        sessions.filter(|(_, connection)| !self.net.connections[**connection].open).map(|(site, _)| *site)
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
        for (index, site) in self.sites.iter().enumerate() {
            let Some(process) = &site.process else { continue };
            match process.connection {
                Some(connection) if !self.net.connections[connection].stream.is_empty() => {
                    steps.push(Step::Direct { site: index });
                }
                _ => {}
            }
            if site.open().is_some_and(|open| open.masks.is_some()) {
                steps.push(Step::Mask { site: index });
            }
        }
        for (place, call) in self.net.calls.iter().enumerate() {
            if matches!(call.progress, Progress::Answering { .. }) {
                steps.push(Step::Answer { place });
            }
        }
        let Some(process) = &self.coordinator.process else { return };
        if process.must_act() {
            return steps.push(Step::Act);
        }
        if !process.unwritten.is_empty() {
            steps.push(Step::Commit);
        }
        for (index, site) in self.sites.iter().enumerate() {
            let wants = site.process.as_ref().is_some_and(|process| process.connection.is_none());
            if wants && !site.cut_off {
                steps.push(Step::Connect { site: index });
            }
        }
        for (place, call) in self.net.calls.iter().enumerate() {
            match call.progress {
                Progress::Travelling => steps.push(Step::Arrive { place }),
                Progress::Storing => steps.push(Step::Store { place }),
                Progress::Waiting | Progress::Answering { .. } => {}
            }
        }
        let noticed = |site: &usize| self.net.connections[process.sessions[site]].noticed_at <= self.now;
        steps.extend(self.broken().filter(noticed).map(|site| Step::Leave { site }));
        if process.alarm.is_some_and(|alarm| alarm <= self.now) {
            steps.push(Step::Wake);
        }
        if !process.aggregations.is_empty() {
            steps.push(Step::Aggregate);
        }
    }

    fn take_step(&mut self, step: Step) -> Result<(), Violation> {
        self.note(step);
        match step {
            Step::Connect { site } => {
                let connection = self.net.open(site);
                let said = self.sites[site].connected(connection);
                self.attend(site, connection)?;
                self.send(site, Reaction { requests: said, ..Reaction::default() })
            }
            Step::Direct { site } => {
                let connection = self.sites[site].connection();
                let stream = connection.map(|connection| &mut self.net.connections[connection].stream);
                let Some(directive) = stream.and_then(std::collections::VecDeque::pop_front) else {
                    return Ok(());
                };
                let reaction = self.sites[site].told(directive, self.plant);
                self.send(site, reaction)
            }
            Step::Mask { site } => {
                let Some((task, plain, request)) = self.sites[site].mask(self.plant) else { return Ok(()) };
                self.books.masked(Attempt::of(&task), site, plain);
                self.send(site, Reaction { requests: vec![request], ..Reaction::default() })
            }
            Step::Leave { site } => self.leave(site),
            Step::Arrive { place } => self.arrive(place),
            Step::Store { place } => self.stored(place),
            Step::Answer { place } => {
                let call = self.net.calls.remove(place);
                if let Progress::Answering { refused } = call.progress {
                    self.sites[call.site].answered(&call.request, refused);
                }
                Ok(())
            }
            Step::Commit => {
                self.commit();
                Ok(())
            }
            Step::Act => self.act(),
            Step::Wake => {
                if let Some(process) = &mut self.coordinator.process {
                    process.alarm = None;
                }
                self.round(federated_core::round::Event::Tick)
            }
            Step::Aggregate => self.aggregate(),
        }
    }

    /// A participant sends something; the books hear of it, whether it arrives or not.
    fn send(&mut self, site: usize, reaction: Reaction) -> Result<(), Violation> {
        if reaction.lost_its_session {
            self.books.see(Sight::SessionLost);
        }
        if reaction.liked_no_second_announcement {
            self.books.see(Sight::SecondRefused);
        }
        for request in reaction.requests {
            if let Request::Answer { task, message } = &request {
                let attempt = Attempt::of(task);
                if reaction.lied {
                    self.books.lies(attempt, site);
                }
                self.books.said(attempt, site, message, self.sites[site].open())?;
            }
            if let Some(connection) = self.sites[site].connection() {
                self.net.call(site, connection, request.into());
            }
        }
        Ok(())
    }

    fn note(&mut self, step: Step) {
        let (kind, index) = match step {
            Step::Connect { site } => (1, site),
            Step::Direct { site } => (2, site),
            Step::Mask { site } => (3, site),
            Step::Leave { site } => (4, site),
            Step::Arrive { place } => (5, place),
            Step::Store { place } => (6, place),
            Step::Answer { place } => (7, place),
            Step::Commit => (8, 0),
            Step::Act => (9, 0),
            Step::Wake => (10, 0),
            Step::Aggregate => (11, 0),
        };
        let (net, now) = (&self.net, self.now);
        self.trace.note(kind << 32 | index as u64, || {
            let about = match step {
                Step::Arrive { place } | Step::Store { place } | Step::Answer { place } => {
                    let call = &net.calls[place];
                    format!(" of {}: {}", call.site, request_in_words(&call.request))
                }
                _ => String::new(),
            };
            format!("{now:>6} {step:?}{about}")
        });
    }
}

fn request_in_words(request: &Request) -> String {
    match request {
        Request::Answer { task, message } => format!("{} for {task}", message.stage()),
        Request::Upload { task, .. } => format!("MaskedInput for {task}"),
        Request::Decline { task, reason } => format!("declines {task}: {reason}"),
    }
}
