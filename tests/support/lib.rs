//! What the tests across crates share: a federation that is made at run time and runs over real TLS sockets.
//!
//! Read in this order: [`Federation`] is a coordinator's folder with its authority and the coordinator that serves it;
//! [`Operator`] starts and watches jobs there, which [`Job`] writes down; [`RawParticipant`] takes part as a peer that
//! may send anything, with the certificate in a [`ClientTls`]; [`Update`] is what it uploads; [`FaultProxy`] breaks the
//! line between the two, and a [`Site`] is one that behaves. A
//! [`Client`] is a participant of the library, with the trainer [`AddConstant`]; [`Signatories`] are several that aggregate
//! securely. Nothing here sleeps until something is ready: every wait is for a signal, [`within`] a limit.
//! In [`processes`] coordinators and participants are processes of their own: [`crash`] kills them at random moments,
//! [`failover`] the one that another stands in for, and [`siege`] is about a coordinator that is beset. [`Postgres`] is a
//! database server for those that keep their journal in one. [`vectors`] are what other implementations of secure
//! aggregation made.

mod client;
pub mod crash;
pub mod failover;
mod federation;
mod job;
mod operator;
mod participant;
mod patience;
mod postgres;
pub mod processes;
mod proxy;
mod refusal;
mod secure;
pub mod siege;
mod site;
mod spooled;
mod tls;
mod trainer;
mod update;
pub mod vectors;

pub use client::Client;
pub use federation::Federation;
pub use job::{Job, layout, model};
pub use operator::Operator;
pub use participant::{Attendance, OpenUpload, RawParticipant};
pub use patience::{PATIENCE, within};
pub use postgres::Postgres;
pub use proxy::{Fault, FaultProxy};
pub use refusal::{assert_refused, reason};
pub use secure::{SecureSite, Signatories};
pub use site::Site;
pub use tls::ClientTls;
pub use trainer::{AddConstant, Gate, TRAINS};
pub use update::Update;
