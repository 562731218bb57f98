//! Benchmarks of Federated. Run them with `cargo bench -p federated-benches`.
//!
//! Each group has a row `floor` that moves the same bytes without doing the work: the ratio to it is what counts.
//!
//! The program `roundtrip` measures whole rounds of a real federation, beside a floor of plain TLS:
//! `cargo run --release -p federated-benches --bin roundtrip -- --help`.
//! The program `secagg-cohort` measures what secure aggregation costs a participant of a large cohort, and its coordinator.
//!
//! What these programs share: [`system`] reads the system's counters and clocks, [`statistics`] is what measurements come to.

pub mod statistics;
pub mod system;
