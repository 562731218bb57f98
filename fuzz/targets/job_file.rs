#![no_main]
//! Job files.

use federated_core::config::JobConfig;
use federated_fuzz::seed;
use libfuzzer_sys::fuzz_target;

const SECURE: &str = "
[privacy.secure_aggregation]
gamma = 0.25
delta = 0.1
clip = 0.5
max_examples = 10_000
metrics = { loss = 10.0 }
";

fuzz_target!(
    init: seed(["", "[compression]\ncodec = \"int8\"\n", "[aggregation]\nkind = \"median\"\n", SECURE].map(|more| {
        [include_str!("../job.toml"), more].concat().into_bytes()
    })),
    |bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        match JobConfig::parse(text) {
            Ok(job) => assert!(job.plan.cohort().quorum <= job.plan.cohort().min_participants),
            Err(error) => drop(error.to_string()),
        }
    }
);
