//! The program `federated-client`: a participant with the built-in trainer for tables.

mod cli;

/// Training allocates and frees large buffers all the time; this allocator keeps them at hand.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
