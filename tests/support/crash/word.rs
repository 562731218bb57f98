use std::{fmt, str::FromStr};

use federated_client::event::ParticipantEvent;
use federated_core::ids::{Digest, RoundNumber, TaskId};

/// What a participant's process prints of a step, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The coordinator accepted it.
    Connected,
    /// It has no connection.
    Disconnected,
    /// Training begins.
    Began(TaskId),
    /// The update is durable in its own folder.
    Trained(TaskId),
    /// It has the receipt for its update with this content.
    Receipt(TaskId, Digest),
    /// It declined, or its update was refused.
    Refused(TaskId, String),
    /// The coordinator no longer wants its update.
    Withdrawn(TaskId),
}

impl Word {
    /// The word for an event that has one.
    pub(crate) fn of(event: &ParticipantEvent) -> Option<Self> {
        match event {
            ParticipantEvent::Connected { .. } => Some(Self::Connected),
            ParticipantEvent::Disconnected { .. } => Some(Self::Disconnected),
            ParticipantEvent::Trained { task, .. } => Some(Self::Trained(task.clone())),
            ParticipantEvent::Submitted { task, content, .. } => Some(Self::Receipt(task.clone(), *content)),
            ParticipantEvent::Refused { task, reason, .. }
            | ParticipantEvent::TaskDeclined { task, reason, .. } => {
                Some(Self::Refused(task.clone(), reason.clone()))
            }
            ParticipantEvent::TaskWithdrawn { task, .. } => Some(Self::Withdrawn(task.clone())),
            _ => None,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut say = |word: &str, task: &TaskId, more: &str| {
            write!(f, "{word} {} {} {}{more}", task.job, task.round, task.attempt)
        };
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Disconnected => f.write_str("disconnected"),
            Self::Began(task) => say("began", task, ""),
            Self::Trained(task) => say("trained", task, ""),
            Self::Receipt(task, content) => say("receipt", task, &format!(" {content}")),
            Self::Refused(task, reason) => say("refused", task, &format!(" {reason}")),
            Self::Withdrawn(task) => say("withdrawn", task, ""),
        }
    }
}

impl FromStr for Word {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let unknown = || format!("expected a word of a participant, found `{line}`");
        let parts: Vec<&str> = line.split(' ').collect();
        let task = |job: &str, round: &str, attempt: &str| {
            let round = round.parse().ok().and_then(RoundNumber::new);
            Some(TaskId { job: job.parse().ok()?, round: round?, attempt: attempt.parse().ok()? })
        };
        let (word, id, more) = match *parts.as_slice() {
            ["connected"] => return Ok(Self::Connected),
            ["disconnected"] => return Ok(Self::Disconnected),
            [word, job, round, attempt] => (word, task(job, round, attempt), None),
            [word, job, round, attempt, more] => (word, task(job, round, attempt), Some(more)),
            _ => return Err(unknown()),
        };
        let id = id.ok_or_else(unknown)?;
        match (word, more) {
            ("began", None) => Ok(Self::Began(id)),
            ("trained", None) => Ok(Self::Trained(id)),
            ("withdrawn", None) => Ok(Self::Withdrawn(id)),
            ("receipt", Some(content)) => Ok(Self::Receipt(id, content.parse().map_err(|_| unknown())?)),
            ("refused", Some(reason)) => Ok(Self::Refused(id, reason.to_owned())),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_is_printed() {
        let task = TaskId { job: "heart".parse().unwrap(), round: RoundNumber::FIRST, attempt: 2 };
        for word in [
            Word::Connected,
            Word::Disconnected,
            Word::Began(task.clone()),
            Word::Trained(task.clone()),
            Word::Receipt(task.clone(), Digest::of(b"update")),
            Word::Refused(task.clone(), "ROUND_CLOSED".to_owned()),
            Word::Withdrawn(task),
        ] {
            assert_eq!(word.to_string().parse(), Ok(word));
        }
        assert!("began heart 0 1".parse::<Word>().is_err());
    }
}
