//! A federation without sockets, clocks or luck: the coordinator's jobs and the participants' machines over a network
//! and a clock that a schedule drives. Messages are lost, doubled, overtaken and late; either side crashes at any moment
//! and starts again from what its disk has; connections break, or one side thinks that they did not; the clock jumps.
//!
//! Read in this order: `schedule` (what can happen; how a seed gives a schedule), `world` (what there is), `life` (one
//! step of it), `faults` (one operation). `coordinator` and `actor` are the edge around the jobs, `site` the edge around
//! a participant's machine, `network` what is between them. `model` and `books` know what is true; `violation` lists
//! what must never be seen. `simulate` runs schedules and shortens those that fail, `planted` shows that they can fail,
//! `regressions` keeps those that did.
//!
//! Run again what a seed gives, told step by step, or other schedules than those of every run:
//!
//! ```text
//! SIMULATION_SEED=4711 cargo test -p federated-tests --test simulation seeded -- --nocapture
//! SIMULATION_FROM=20000 SIMULATION_COUNT=1000000 cargo test --release -p federated-tests --test simulation seeded
//! ```
//!
//! A schedule that failed is printed with its seed and in a shorter version, ready for `regressions`.

mod actor;
mod books;
mod coordinator;
mod dice;
mod faults;
mod life;
mod model;
mod names;
mod network;
mod planted;
mod regressions;
mod schedule;
mod simulate;
mod site;
mod trace;
mod violation;
mod world;

use books::{SIGHTS, Sight};
use schedule::Schedule;
use simulate::{run, shrunk, told};

/// How many schedules are run.
const COUNT: u64 = 20_000;
const THREADS: u64 = 2;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: expected a number, found `{text}`")))
}

/// Runs a seed's schedule twice. Gives how often it shows what schedules are for, or what went wrong, for people.
fn twice(seed: u64) -> Result<[u32; SIGHTS], String> {
    let schedule = Schedule::drawn(seed);
    let (first, second) = (run(&schedule, None), run(&schedule, None));
    if first != second {
        return Err(format!("seed {seed}: two runs differ: {first:?} and {second:?}\n{schedule:?}"));
    }
    let violation = match first {
        Ok((_, seen)) => return Ok(seen),
        Err(violation) => violation,
    };
    let shorter = shrunk(&schedule, &violation);
    Err(format!(
        "seed {seed}: {violation}\n{schedule:?}\nshorter:\n{shorter:?}\n{}",
        told(&shorter).join("\n")
    ))
}

#[test]
fn seeded_schedules_lose_nothing_count_nothing_twice_and_end() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        println!("{}", told(&Schedule::drawn(seed)).join("\n"));
        twice(seed).unwrap_or_else(|failure| panic!("{failure}"));
        return;
    }
    let from = setting("SIMULATION_FROM").unwrap_or_default();
    let count = setting("SIMULATION_COUNT").unwrap_or(COUNT);
    let threads = usize::try_from(THREADS).expect("few");
    let share = |thread: u64| {
        let mut seen = [0; SIGHTS];
        for seed in (from + thread..from + count).step_by(threads) {
            let found = twice(seed)?;
            seen.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
        }
        Ok::<_, String>(seen)
    };
    let shares: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || share(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let failures: Vec<&str> =
        shares.iter().filter_map(|share| share.as_ref().err().map(String::as_str)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    let seen: Vec<u32> =
        (0..SIGHTS).map(|sight| shares.iter().flatten().map(|seen| seen[sight]).sum()).collect();
    // Every schedule counts: a test that never sees what it is for would pass all the same.
    if count >= COUNT {
        let wanted = Sight::ALL.into_iter().filter(|sight| *sight != Sight::Untold);
        let unseen = wanted.filter(|sight| seen[*sight as usize] == 0);
        assert_eq!(unseen.collect::<Vec<_>>(), [], "the schedules do not show what they are for: {seen:?}");
    }
}
