//! Coordinators and participants as processes of their own, for tests and programs that kill them.
//!
//! Read in this order: [`Role`] is what a process does, and [`Program`] the program that is started for it; [`Process`]
//! is one that runs; [`Serving`] is how a coordinator serves; a [`Cluster`] is a coordinator's process with its folder and its participants. A [`ByteRelay`]
//! stands between the two and counts what participants send. `log` reads from coordinators' logs where uploads went on.
//!
//! A program that uses this makes [`Role`] a hidden subcommand, so that it can start itself again. Nothing sleeps until
//! something is ready: a process says in a line what it has done, and the relay says when so many bytes have passed.

mod cluster;
mod log;
mod process;
mod relay;
mod role;
mod serving;

pub use cluster::Cluster;
pub use process::{Process, Program, Said};
pub use relay::ByteRelay;
pub use role::{Role, SUBMITTED, TRAINED};
pub use serving::Serving;
