//! What the examples share.
//!
//! [`classification`] says how good the predictions of a yes-or-no question are. The examples themselves are programs,
//! each in a folder of its own beside this one.

pub mod classification;
