//! `cargo run --release --example audit`: see `mod.rs` beside this file.

use std::process::ExitCode;

/// Training allocates many small tensors, which mimalloc is quicker at than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    federated_examples::audit::main()
}
