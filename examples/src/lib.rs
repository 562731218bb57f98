//! What the examples are made of.
//!
//! [`hospitals`] is a library with a program of one line, so that its parts are tested like any library's; it lies in the
//! example's folder. [`classification`] says how good the predictions of a yes-or-no question are.

#![forbid(unsafe_code)]

pub mod classification;
#[path = "../hospitals/mod.rs"]
pub mod hospitals;
