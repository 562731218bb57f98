//! What each operation of a schedule does.

use crate::{
    coordinator::Order,
    network::Stage,
    schedule::{DELAYS, JUMPS, Op, Party, Side, WAITS},
    violation::Violation,
    world::{SILENCE, World},
};

impl World {
    pub(crate) fn apply(&mut self, op: Op) -> Result<(), Violation> {
        self.trace.note(0x0F, || format!("== {op:?}"));
        let jobs = usize::from(self.setup.jobs);
        let job = |index: u8| usize::from(index) % jobs;
        match op {
            Op::Go(steps) => return self.go(usize::from(steps)),
            Op::Until(moment) => return self.until(moment),
            Op::Wait(index) => {
                self.now += WAITS[usize::from(index) % WAITS.len()];
                self.books.excuses.time = true;
            }
            Op::ClockJump(index) => {
                self.skew += JUMPS[usize::from(index) % JUMPS.len()];
                self.books.excuses.time = true;
            }
            Op::Break(site) => self.sever(site, 0, 0),
            Op::HalfOpen { site, late: Side::Coordinator } => self.sever(site, 0, SILENCE),
            Op::HalfOpen { site, late: Side::Site } => self.sever(site, SILENCE, 0),
            Op::Cut(site) => {
                self.sever(site, 0, 0);
                self.site(site).cut_off = true;
            }
            Op::Mend(site) => self.site(site).cut_off = false,
            Op::DropRequest(index) => return self.lose(index, |stage| *stage == Stage::Travelling),
            Op::DropResponse(index) => {
                return self.lose(index, |stage| matches!(stage, Stage::Answering(_)));
            }
            Op::Duplicate(index) => {
                if let Some(call) = self.find_call(index, |stage| *stage == Stage::Travelling) {
                    let late = u64::from(self.dice.byte(60));
                    self.net.duplicate(call, self.now + late);
                }
            }
            Op::Delay(index) => {
                let moves = |stage: &Stage| matches!(stage, Stage::Travelling | Stage::Answering(_));
                if let Some(call) = self.find_call(index, moves) {
                    self.net.calls[call].not_before = self.now + DELAYS[usize::from(index) % DELAYS.len()];
                }
            }
            Op::Crash(Party::Coordinator) => return self.crash_coordinator(),
            Op::Crash(Party::Site(site)) => self.crash_site(usize::from(site) % self.sites.len()),
            Op::Restart(party) => return self.restart(party),
            Op::FailTraining(site) => self.site(site).fails_next = true,
            Op::FailAggregation => self.coordinator.fails_next = true,
            Op::Start(index) => self.order_for(job(index), Order::Start),
            Op::Stop(index) => self.order_for(job(index), Order::Stop),
            Op::Pause(index) => self.order_for(job(index), Order::Hold { queue: false }),
            Op::Queue(index) => self.order_for(job(index), Order::Hold { queue: true }),
            Op::Release(index) => self.order_for(job(index), Order::Release),
            Op::Retry(index) => self.order_for(job(index), Order::Retry),
        }
        Ok(())
    }

    pub(crate) fn restart(&mut self, party: Party) -> Result<(), Violation> {
        match party {
            Party::Coordinator => self.start_coordinator(),
            Party::Site(site) => {
                self.site(site).start();
                Ok(())
            }
        }
    }

    fn site(&mut self, index: u8) -> &mut crate::site::Site {
        let count = self.sites.len();
        &mut self.sites[usize::from(index) % count]
    }

    /// Breaks the connection that a participant holds for open; each side notices after a time.
    fn sever(&mut self, site: u8, site_after: u64, coordinator_after: u64) {
        let arrives = self.dice.chance(50);
        let attendance = self.site(site).process.as_ref().and_then(|process| process.attendance);
        if let Some(connection) = attendance {
            self.books.excuses.absence = true;
            self.net.sever(connection, self.now + site_after, self.now + coordinator_after, arrives);
        }
    }

    fn find_call(&self, index: u8, fits: impl Fn(&Stage) -> bool) -> Option<usize> {
        let calls = self.net.calls.iter().enumerate();
        let found: Vec<usize> = calls.filter(|(_, call)| fits(&call.stage)).map(|(call, _)| call).collect();
        found.get(usize::from(index) % found.len().max(1)).copied()
    }

    /// A request or an answer is lost: the participant learns that the call failed.
    fn lose(&mut self, index: u8, fits: impl Fn(&Stage) -> bool) -> Result<(), Violation> {
        let Some(call) = self.find_call(index, fits) else { return Ok(()) };
        let call = self.net.calls.remove(call);
        self.answered(&call, None)
    }
}
