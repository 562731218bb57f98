//! Runs schedules, and makes those that fail shorter.

use crate::{
    books::SIGHTS,
    planted::Plant,
    schedule::{Party, Schedule},
    trace::Trace,
    violation::Violation,
    world::World,
};

/// What a run comes to: the digest of all that happened, the chain of the log, and how often what schedules are for did.
pub(crate) type Outcome = (u64, [u8; 32], [u32; SIGHTS]);

/// Runs a schedule, then without faults to the end of the job.
pub(crate) fn run(schedule: &Schedule, plant: Option<Plant>) -> Result<Outcome, Violation> {
    let mut world = World::new(schedule.setup, plant, Trace::default());
    live(&mut world, schedule)?;
    Ok((world.trace.digest(), *world.coordinator.link().as_bytes(), world.books.seen))
}

/// The same in words, up to the violation.
pub(crate) fn told(schedule: &Schedule) -> Vec<String> {
    let mut world = World::new(schedule.setup, None, Trace::in_words());
    let ended = live(&mut world, schedule);
    let mut words = world.trace.into_words();
    let job = world.coordinator.job().map(|job| job.run().phase().clone());
    words.push(format!("{ended:?}: {job:?}"));
    words
}

fn live(world: &mut World, schedule: &Schedule) -> Result<(), Violation> {
    (world.books.bears, world.books.early) = (schedule.bears(), schedule.setup.early);
    world.restart(Party::Coordinator)?;
    schedule.ops.iter().try_for_each(|op| world.apply(*op))?;
    world.fair()?;
    let job = world.coordinator.job().cloned().ok_or(Violation::Endless)?;
    world.books.check_end(&world.setup, &job)?;
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
