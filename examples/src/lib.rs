//! What the examples are made of.
//!
//! [`hospitals`], [`mnist`] and [`audit`] are libraries with a program of one line, so that their parts are tested like any
//! library's; each lies in its example's folder. What they share: `federation` (a coordinator and participants as
//! processes on this machine), `dense` (models that are dense networks), `compression` (a table of encodings),
//! `figure` (a number over seeds). [`classification`] says how good the predictions of a yes-or-no question are.

#![forbid(unsafe_code)]

#[path = "../audit/mod.rs"]
pub mod audit;
pub mod classification;
mod compression;
mod dense;
mod federation;
mod figure;
#[path = "../hospitals/mod.rs"]
pub mod hospitals;
#[path = "../mnist/mod.rs"]
pub mod mnist;
