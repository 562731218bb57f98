//! Benchmarks of Federated. Run them with `cargo bench -p federated-benches`.
//!
//! Each group has a row `floor` that moves the same bytes without doing the work: the ratio to it is what counts.
