//! The pure heart of Federated.
//!
//! Nothing in this crate reads a clock, opens a file or a socket, or draws global randomness: time and randomness are
//! arguments. So a whole federation runs in a test, and runs the same way twice.
//!
//! Read in this order: [`model`] and [`update`] are what travels; [`strategy`], [`selection`] and [`aggregate`] say how
//! a round is done; [`compression`] makes updates shorter on the wire; [`round`] is the state machine that does it,
//! and [`job`] holds it from start to end, as a log gives it; [`statistics`] are what else than a model sites can work out
//! together; [`config`] parses configuration files; [`checkpoint`] is how
//! what is kept is encoded. [`fault`] is how every error answers
//! whose fault it is.

#![forbid(unsafe_code)]

pub mod aggregate;
pub mod checkpoint;
pub mod compression;
pub mod config;
pub mod fault;
pub mod ids;
pub mod job;
pub mod metrics;
pub mod model;
pub mod prelude;
pub mod privacy;
pub mod round;
pub mod selection;
pub mod statistics;
pub mod strategy;
pub mod task;
pub mod time;
pub mod update;
