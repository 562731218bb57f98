//! `cargo run --release --example outages`: see `mod.rs` beside this file.

use std::process::ExitCode;

/// Training allocates many small tensors, which mimalloc is quicker at than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    federated_examples::hospitals::outages::main().await
}
