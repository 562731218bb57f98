//! Schedules that failed once. Each is run in many orders: what failed in one may pass in another.

use crate::{
    schedule::{Moment, Op, Party, Schedule, Setup},
    simulate::{run, told},
};

/// In how many orders each schedule is run.
const ORDERS: u64 = 200;

fn holds(setup: Setup, ops: &[Op]) {
    for order in 0..ORDERS {
        let schedule = Schedule { setup: Setup { order, ..setup }, ops: ops.to_vec() };
        if let Err(violation) = run(&schedule, None) {
            panic!("{violation}\n{schedule:?}\n{}", told(&schedule).join("\n"));
        }
    }
}

/// A participant that trained for one job took the model away from its task of another, and declined that task because
/// of its own state folder.
#[test]
fn two_jobs_that_begin_with_the_same_model_both_train_it() {
    holds(Setup { jobs: 2, ..Setup::of(2) }, &[]);
    holds(Setup { jobs: 2, attempts: 1, ..Setup::of(3) }, &[Op::Start(1)]);
}

/// Time stood still for a job until the clock showed again what it had shown before: no deadline passed, and no attempt
/// that was abandoned was tried again.
#[test]
fn a_clock_that_is_put_back_a_day_holds_up_nobody_for_a_day() {
    let day_back = [Op::Until(Moment::Trained), Op::ClockJump(0), Op::FailAggregation, Op::Go(29)];
    holds(Setup::of(2), &day_back);
    holds(Setup { jobs: 2, ..Setup::of(3) }, &day_back);
    let day_on_and_back =
        [Op::Go(30), Op::ClockJump(5), Op::Cut(0), Op::Go(30), Op::ClockJump(0), Op::Wait(3)];
    holds(Setup { quorum: 1, ..Setup::of(2) }, &day_on_and_back);
    let while_it_was_down = [
        Op::Go(30),
        Op::Crash(Party::Coordinator),
        Op::ClockJump(0),
        Op::Restart(Party::Coordinator),
        Op::FailAggregation,
    ];
    holds(Setup::of(2), &while_it_was_down);
}
