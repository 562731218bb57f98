//! The coordinator's side of a session, as plain data that its messages give: replayed, they give it again.
//!
//! Read in this order: [`CoordinatorSession`] collects what participants send and says what each is told; `admission` says
//! what may be sent when; `reveal` turns the shares of the last stage into masks to take away.

mod admission;
mod error;
mod reveal;
mod state;

pub use error::{SessionError, UnmaskError};
pub use reveal::Unmasking;
pub use state::{CoordinatorSession, MessageAdmission};
