//! What a process reports of the rounds it has seen.

use std::time::Instant;

use serde::{Deserialize, Serialize};

pub(crate) use federated_benches::system::{Usage, load_average, loopback_bytes};

/// When a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// Seconds on a clock that only runs forward, since a start that all moments of a process share.
    pub(crate) at_s: f64,
    /// What the loopback had carried until then.
    pub(crate) loopback_bytes: Option<u64>,
}

impl Moment {
    /// Now, with `start` as the start.
    pub(crate) fn since(start: Instant) -> Self {
        Self { at_s: start.elapsed().as_secs_f64(), loopback_bytes: loopback_bytes() }
    }
}

/// What the process in the middle reports last: the coordinator, or the floor's server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerFigures {
    /// The ends of all rounds.
    pub(crate) ends: Vec<Moment>,
    /// What it used.
    pub(crate) usage: Usage,
}
