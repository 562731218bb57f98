use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::JobTerms;
use crate::{ids::ParticipantName, round::Event, time::Timestamp};

/// Something that happened to a job. New kinds are added at the end: logs outlive versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum JobEvent {
    /// It was started. The first event of every job, and no other.
    Created {
        /// What was agreed.
        terms: Box<JobTerms>,
        /// The participants that were connected, whether eligible or not.
        present: BTreeSet<ParticipantName>,
    },
    /// Something the round machine decides about.
    Round(Event),
    /// The coordinator was started anew, and nobody is connected to it yet.
    Restarted,
    /// Models of this job were downloaded.
    Downloaded {
        /// How many bytes.
        bytes: u64,
    },
    /// A participant was told how the job ended.
    Told {
        /// Who.
        participant: ParticipantName,
    },
}

/// An event with its moment: what a job's log consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened, by the coordinator's clock.
    pub at: Timestamp,
    /// What happened.
    pub event: JobEvent,
}
