use std::{num::NonZeroUsize, time::Duration};

/// How many jobs run, and how long those that have ended are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobsConfig {
    /// Jobs that run at one time; further ones wait in the order of their start. 4 by default.
    pub active: NonZeroUsize,
    /// For how long a job that has ended is kept, with its log and its models; for ever by default.
    pub keep: Option<Duration>,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { active: NonZeroUsize::MIN.saturating_add(3), keep: None }
    }
}
