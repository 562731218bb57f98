//! A federation that spends a privacy budget while its machines lose their power at any moment: nothing is released without a
//! reservation that is on disk, and no ledger says less than was released.
//!
//! Read in this order: `disk` (what a loss of power leaves of a file), `machine` (one that keeps a ledger, is cut and starts
//! again), `truth` (what was released for certain, counted without the ledger, and what must hold), `federation` (the
//! coordinator and its sites, and what they do).
//!
//! A seed gives a run and each run is the same every time. Other runs than those of every time:
//!
//! ```text
//! LEDGER_KILLS=100000 cargo test --release -p federated-core --test ledger-kills
//! ```

#![expect(clippy::expect_used, clippy::panic, reason = "a simulation that is wrong itself stops there")]

mod disk;
mod federation;
mod machine;
mod truth;

use std::collections::BTreeMap;

use disk::Moment;
use federation::Federation;

/// How many losses of power there are at the least, unless `LEDGER_KILLS` says otherwise.
const KILLS: u64 = 1_200;

/// What came of the runs of many seeds.
#[derive(Debug, Default)]
struct Tally {
    cuts: BTreeMap<Moment, u64>,
    releases: u64,
    refused: u64,
}

/// Runs seeds until there were so many losses of power.
fn runs(cuts: u64) -> Tally {
    let mut tally = Tally::default();
    for seed in 0.. {
        if tally.cuts.values().sum::<u64>() >= cuts {
            break;
        }
        let mut federation = Federation::new(seed);
        if let Err(violation) = federation.run() {
            panic!("seed {seed}: {violation}");
        }
        let (releases, refused) = federation.counts();
        tally.releases += releases;
        tally.refused += refused;
        federation
            .cuts()
            .into_iter()
            .for_each(|(moment, times)| *tally.cuts.entry(moment).or_default() += times);
    }
    tally
}

#[test]
fn no_round_is_released_without_its_reservation_and_no_budget_is_undercounted_whenever_the_power_goes() {
    let setting = std::env::var("LEDGER_KILLS").ok();
    let tally = runs(setting.map_or(KILLS, |text| text.parse().expect("a number of kills")));
    // The seeds are always the same: this says that they do what they are for.
    for moment in Moment::ALL {
        assert!(tally.cuts.get(&moment).is_some_and(|times| *times >= 30), "{moment:?}: {tally:?}");
    }
    assert!(tally.releases >= 1000 && tally.refused >= 100, "{tally:?}");
}

#[test]
fn a_disk_that_says_it_has_written_what_it_has_not_is_seen() {
    let violations = (0..40).filter_map(|seed| Federation::on_lying_disks(seed).run().err());
    let found: Vec<String> = violations.map(|violation| violation.to_string()).collect();
    assert!(found.iter().any(|text| text.contains("without a reservation on disk")), "{found:?}");
}
