//! What keeps a participant's update, and its examples, from those who shall not know them.
//!
//! [`secagg`]: the coordinator learns the sum of a cohort's updates, and nothing else about any one of them.
//! [`dp`]: what is learned from the sum says little about any one example or participant, and how little is counted.

pub mod dp;
pub mod secagg;
