//! The life of a participant: connect, negotiate, attend, and do what the coordinator asks.
//!
//! Read in this order: [`machine`] decides, without any I/O; `directive` turns messages into its inputs; `run` carries
//! out its actions. `attendance` keeps a connection open with [`Backoff`] between attempts, on which `connection` agrees
//! with the coordinator; `fetch` and `submit` move models and updates for `transfer`; `worker` is the thread that trains, after
//! asking `books` whether the site's privacy budget pays for it, and before `protect` leaves of an update what may leave.
//! `secure` holds the sessions of secure aggregation beside them, and `result` judges what is said to have come of them.

mod attendance;
mod backoff;
mod books;
mod call;
mod connection;
mod directive;
mod error;
mod fetch;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg_attr(
    not(feature = "test-util"),
    expect(unreachable_pub, reason = "only the simulation of `tests` drives the machine from outside")
)]
mod machine;
mod protect;
mod result;
mod run;
mod secure;
mod submit;
mod transfer;
mod worker;

pub use backoff::Backoff;
pub(crate) use books::Books;
pub(crate) use call::CallError;
pub(crate) use connection::{ConnectError, Connection};
pub use error::ClientError;
pub(crate) use machine::Rules as SessionRules;
#[cfg(feature = "test-util")]
pub use machine::{Action, EndedJob, Input, Machine, Rules};
pub(crate) use result::ResultRules;
pub(crate) use run::{OnEvent, Session, Settings};
