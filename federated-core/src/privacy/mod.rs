//! What keeps a participant's update from the coordinator.
//!
//! [`secagg`]: the coordinator learns the sum of a cohort's updates, and nothing else about any one of them.

pub mod secagg;
