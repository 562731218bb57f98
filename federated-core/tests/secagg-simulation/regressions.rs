//! Schedules that failed once. Each is run in many orders: what failed in one may pass in another.

use crate::{
    schedule::{Op, Schedule, Setup},
    simulate::{run, told},
};

/// In how many orders each schedule is run.
const ORDERS: u64 = 50;

fn holds(setup: Setup, ops: &[Op]) {
    for order in 0..ORDERS {
        let schedule = Schedule { setup: Setup { order, ..setup }, ops: ops.to_vec() };
        if let Err(violation) = run(&schedule, None) {
            panic!("{violation}\n{schedule:?}\n{}", told(&schedule).join("\n"));
        }
    }
}

#[test]
fn without_faults_every_round_is_done() {
    holds(Setup::of(3), &[]);
    holds(Setup { rounds: 2, third: true, ..Setup::of(4) }, &[]);
}

/// Site 0 was away while the other three signed, and came back to signatures under something it had not been told.
#[test]
fn whoever_was_away_while_enough_others_signed_is_told_of_the_survivors_first() {
    let schedule = Schedule::drawn(50_933);
    if let Err(violation) = run(&schedule, None) {
        panic!("{violation}\n{schedule:?}\n{}", told(&schedule).join("\n"));
    }
}
