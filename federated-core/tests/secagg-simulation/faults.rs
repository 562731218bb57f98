//! What each operation of a schedule does.

use std::sync::Arc;

use federated_core::{
    privacy::secagg::{CoordinatorMessage, CoordinatorSession, Survivors},
    round::RoundPhase,
};

use crate::{
    names,
    network::{Directive, Progress},
    schedule::{Op, Party, WAITS},
    site::Site,
    violation::Violation,
    world::{UNNOTICED, World},
};

impl World {
    pub(crate) fn apply(&mut self, op: Op) -> Result<(), Violation> {
        self.trace.note(0x0F, || format!("== {op:?}"));
        match op {
            Op::Go(steps) => return self.go(usize::from(steps)),
            Op::Until(moment) => return self.until(moment),
            Op::Wait(index) => self.now += WAITS[usize::from(index) % WAITS.len()],
            Op::Break { site, late } => self.sever(site, if late { UNNOTICED } else { 0 }),
            Op::Cut(site) => {
                self.sever(site, 0);
                self.site(site).cut_off = true;
            }
            Op::Mend(site) => self.site(site).cut_off = false,
            Op::DropRequest(index) => self.lose(index, |progress| *progress == Progress::Travelling),
            Op::DropResponse(index) => {
                self.lose(index, |progress| matches!(progress, Progress::Answering { .. }));
            }
            Op::Duplicate(index) => {
                if let Some(call) = self.find_call(index, |progress| *progress == Progress::Travelling) {
                    let call = &self.net.calls[call];
                    let (site, request) = (call.site, Arc::clone(&call.request));
                    self.net.replay(site, request);
                }
            }
            Op::ReplayRequest(index) => {
                let count = self.net.sent.len().max(1);
                let kept = self.net.sent.get(usize::from(index) * 7 % count).cloned();
                kept.into_iter().for_each(|(site, request)| self.net.replay(site, request));
            }
            Op::ReplayDirective { site, index } => self.replay_directive(site, index),
            Op::Crash(Party::Coordinator) => return self.crash_coordinator(),
            Op::Crash(Party::Site(site)) => {
                self.sever(site, 0);
                let plant = self.plant;
                self.site(site).crash(plant);
            }
            Op::Restart(party) => return self.restart(party),
            Op::Lie(site, lie) => self.site(site).lie = Some(lie),
            Op::OtherSurvivors(site) => self.announce_others(site),
            Op::FailTraining(site) => self.site(site).fails_next = true,
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

    fn site(&mut self, index: u8) -> &mut Site {
        let count = self.sites.len();
        &mut self.sites[usize::from(index) % count]
    }

    /// Breaks a participant's connection; the coordinator notices after a time.
    fn sever(&mut self, site: u8, after: u64) {
        let arrives = self.dice.chance(50);
        let process = self.site(site).process.as_mut();
        if let Some(connection) = process.and_then(|process| process.connection.take()) {
            self.net.sever(connection, self.now + after, arrives);
        }
    }

    fn find_call(&self, index: u8, fits: impl Fn(&Progress) -> bool) -> Option<usize> {
        let calls = self.net.calls.iter().enumerate();
        let found: Vec<usize> =
            calls.filter(|(_, call)| fits(&call.progress)).map(|(place, _)| place).collect();
        found.get(usize::from(index) % found.len().max(1)).copied()
    }

    /// A request or an answer is lost: the participant makes the same call again, or its connection breaks.
    fn lose(&mut self, index: u8, fits: impl Fn(&Progress) -> bool) {
        let Some(place) = self.find_call(index, fits) else { return };
        let call = self.net.calls.remove(place);
        let Some(connection) = call.connection else { return };
        if self.dice.chance(50) {
            self.net.call(call.site, connection, call.request);
        } else {
            self.sever(u8::try_from(call.site).expect("few sites"), 0);
        }
    }

    fn replay_directive(&mut self, site: u8, index: u8) {
        let site = self.site(site).index;
        let told: Vec<&Directive> =
            self.net.told.iter().filter(|(to, _)| *to == site).map(|(_, directive)| directive).collect();
        let kept = told.get(usize::from(index) % told.len().max(1)).map(|kept| (*kept).clone());
        if let (Some(directive), Some(connection)) = (kept, self.sites[site].connection()) {
            self.net.tell(connection, directive);
        }
    }

    /// The coordinator lies: it takes somebody from the survivors, or names everyone who has shared its secrets.
    fn announce_others(&mut self, site: u8) {
        let Some(process) = &self.coordinator.process else { return };
        let run = process.job.run();
        let (RoundPhase::Training { session: Some(session), .. } | RoundPhase::Unmasking { session, .. }) =
            run.phase()
        else {
            return;
        };
        let Some(cohort) = session.state.open().find_map(CoordinatorSession::cohort) else { return };
        let (task, count) = (run.task(), cohort.len());
        let site = usize::from(site) % self.sites.len();
        let all = 0..count;
        let me = cohort.index(names::name(site));
        let told = match run.told(names::name(site)).pop() {
            Some(CoordinatorMessage::Survivors(told)) => told.0.len(),
            _ => usize::MAX,
        };
        let survivors =
            if u32::try_from(told).is_ok_and(|told| told < count) || count == 3 && self.setup.third {
                all.collect()
            } else {
                let gone = all.clone().rev().find(|index| Some(*index) != me);
                all.filter(|index| Some(*index) != gone).collect()
            };
        let message = Arc::new(CoordinatorMessage::Survivors(Survivors(survivors)));
        if let Some(connection) = self.sites[site].connection() {
            self.net.tell(connection, Directive::Secure { task, message });
        }
    }
}
