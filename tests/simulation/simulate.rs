//! Runs schedules, and makes those that fail shorter.

use crate::{
    books::SIGHTS,
    coordinator::Order,
    planted::Plant,
    schedule::{Op, Party, Schedule},
    trace::Trace,
    violation::Violation,
    world::World,
};

/// What a run comes to: the digest of all that happened, and how often what schedules are for did.
pub(crate) type Outcome = (u64, [u32; SIGHTS]);

/// Runs a schedule, then without faults to the end of every job.
pub(crate) fn run(schedule: &Schedule, plant: Option<Plant>) -> Result<Outcome, Violation> {
    let mut world = World::new(schedule.setup, plant, Trace::default());
    live(&mut world, &schedule.ops).map(|()| (world.trace.digest(), world.books.seen))
}

/// The same in words, up to the violation.
pub(crate) fn told(schedule: &Schedule) -> Vec<String> {
    let mut world = World::new(schedule.setup, None, Trace::in_words());
    let ended = live(&mut world, &schedule.ops);
    let mut words = world.trace.into_words();
    words.push(format!("{ended:?}"));
    words
}

/// The world at the end of a schedule.
fn live(world: &mut World, ops: &[Op]) -> Result<(), Violation> {
    world.restart(Party::Coordinator)?;
    for site in &mut world.sites {
        site.start();
    }
    world.order_for(0, Order::Start);
    ops.iter().try_for_each(|op| world.apply(*op))?;
    world.fair()?;
    for job in 0..usize::from(world.setup.jobs) {
        let Some(state) = world.coordinator.job(job).cloned() else {
            return Err(Violation::Endless { job });
        };
        world.books.check_end(&world.setup, job, &state, &world.coordinator.models)?;
    }
    // The log still gives all of it.
    world.crash_coordinator()
}

/// Leaves out what a schedule does not need to break the same law.
pub(crate) fn shrunk(schedule: &Schedule, violation: &Violation) -> Schedule {
    let fails = |shorter: &Schedule| run(shorter, None).is_err_and(|found| found.law() == violation.law());
    let mut best = schedule.clone();
    let mut length = best.ops.len();
    while length > 0 {
        let mut start = 0;
        while start < best.ops.len() {
            let mut shorter = best.clone();
            shorter.ops.drain(start..(start + length).min(best.ops.len()));
            if fails(&shorter) { best = shorter } else { start += length }
        }
        length /= 2;
    }
    best
}
