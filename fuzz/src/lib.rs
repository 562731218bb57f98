//! What the targets share: seeds, wire messages, and honest sessions of secure aggregation to disturb.

pub mod sessions;
mod wire;

use std::path::PathBuf;

pub use wire::{header, layout, model, patched, survives, task, train_task};

/// Writes a target's seeds where `fuzz/run` reads them, before the fuzzer looks for them.
///
/// They are made of the code that is fuzzed, so that none has to be kept in step with it. Without `FUZZ_SEEDS` nothing is
/// written.
pub fn seed(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from) else { return };
    for (number, seed) in seeds.into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:03}")), seed).expect("FUZZ_SEEDS is a folder");
    }
}
