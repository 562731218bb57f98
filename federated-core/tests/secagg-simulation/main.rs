//! Secure aggregation without sockets, clocks or luck: the coordinator's job and the participants' sessions over a network
//! and a clock that a schedule drives. Messages are lost, doubled, replayed and late; either side crashes at any moment
//! and starts again from what its disk has; participants lie about shares, and the coordinator about who is left.
//!
//! Every schedule ends in the right sum or in an attempt that was abandoned with a reason; and whatever happens, what is
//! out of a session is never enough to read the vectors of a few.
//!
//! Read in this order: `schedule` (what can happen; how a seed gives a schedule), `world` (what there is), `life` (one
//! step of it), `faults` (one operation). `coordinator` and `actor` are the edge around the job, `site` the edge around a
//! participant's session and `liar` what it may send instead, `network` what is between them. `vector` and `books` know
//! what is true, `ledger` what is out of a session; `violation` lists what must never be seen. `simulate` runs schedules
//! and shortens those that fail, `planted` shows that they can fail, `regressions` keeps those that did.
//!
//! Run again what a seed gives, told step by step, or other schedules than those of every run:
//!
//! ```text
//! SIMULATION_SEED=4711 cargo test -p federated-core --test secagg-simulation seeded -- --nocapture
//! SIMULATION_FROM=100000 SIMULATION_COUNT=1000000 cargo test --release -p federated-core --test secagg-simulation seeded
//! ```
//!
//! The time goes into X25519 and Ed25519, so most schedules are run once; `SIMULATION_TWICE=1` runs all of them twice.
//! A schedule that failed is printed with its seed and in a shorter version, ready for `regressions`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a simulation that is wrong itself stops there"
)]

mod actor;
mod books;
mod coordinator;
mod dice;
mod faults;
mod ledger;
mod liar;
mod life;
mod names;
mod network;
mod planted;
mod regressions;
mod schedule;
mod simulate;
mod site;
mod trace;
mod vector;
mod violation;
mod world;

use books::{SIGHTS, Sight};
use schedule::Schedule;
use simulate::{run, shrunk, told};

/// How many schedules are run, unless `SIMULATION_COUNT` says otherwise.
const COUNT: u64 = 10_000;
/// Of so many schedules one is run twice.
const ONE_IN: u64 = 16;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: expected a number, found `{text}`")))
}

/// Runs a seed's schedule, and where that is wanted again: the second run must be the first one to the last byte. Gives how
/// often it shows what schedules are for, or what went wrong, for people.
fn checked(seed: u64, twice: bool) -> Result<[u32; SIGHTS], String> {
    let schedule = Schedule::drawn(seed);
    let first = run(&schedule, None);
    if twice || first.is_err() {
        let second = run(&schedule, None);
        if first != second {
            return Err(format!("seed {seed}: two runs differ: {first:?} and {second:?}\n{schedule:?}"));
        }
    }
    let violation = match first {
        Ok((.., seen)) => return Ok(seen),
        Err(violation) => violation,
    };
    let shorter = shrunk(&schedule, &violation);
    Err(format!(
        "seed {seed}: {violation}\n{schedule:?}\nshorter:\n{shorter:?}\n{}",
        told(&shorter).join("\n")
    ))
}

#[test]
fn seeded_schedules_end_in_a_right_sum_or_a_clean_refusal_and_expose_nobody() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        println!("{}", told(&Schedule::drawn(seed)).join("\n"));
        checked(seed, true).map(drop).unwrap_or_else(|failure| panic!("{failure}"));
        return;
    }
    let from = setting("SIMULATION_FROM").unwrap_or_default();
    let count = setting("SIMULATION_COUNT").unwrap_or(COUNT);
    let one_in = setting("SIMULATION_TWICE").unwrap_or(ONE_IN).max(1);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let share = |thread: u64| {
        let mut seen = [0; SIGHTS];
        for seed in (from + thread..from + count).step_by(threads) {
            let found = checked(seed, seed % one_in == 0)?;
            seen.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
        }
        Ok::<_, String>(seen)
    };
    let shares: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads as u64).map(|thread| scope.spawn(move || share(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let failures: Vec<&str> =
        shares.iter().filter_map(|share| share.as_ref().err().map(String::as_str)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    let seen: Vec<u32> =
        (0..SIGHTS).map(|sight| shares.iter().flatten().map(|seen| seen[sight]).sum()).collect();
    println!("{:?}", Sight::ALL.iter().zip(&seen).collect::<Vec<_>>());
    // Every schedule counts: a test that never sees what it is for would pass all the same.
    if count >= COUNT {
        let unseen = Sight::ALL.into_iter().filter(|sight| seen[*sight as usize] == 0);
        assert_eq!(unseen.collect::<Vec<_>>(), [], "the schedules do not show what they are for: {seen:?}");
    }
}
