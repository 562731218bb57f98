use std::ops::Add;

use super::{answer_bytes, told_bytes};
use crate::{
    ids::{ParticipantName, TaskId},
    privacy::secagg::{Groups, ParticipantMessage},
    round::{Command, RoundPhase, Run},
};

/// What travelled while an attempt at a round went on, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Updates that got their receipts.
    pub up: u64,
    /// What these would be without compression.
    pub up_plain: u64,
    /// Models, by downloads that ended.
    pub down: u64,
    /// Answers of secure aggregation: keys, shares and signatures. Those that came twice are counted once.
    pub session_up: u64,
    /// What was told of secure aggregation to those who were connected, as often as it was told.
    pub session_down: u64,
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            up: self.up.saturating_add(other.up),
            up_plain: self.up_plain.saturating_add(other.up_plain),
            down: self.down.saturating_add(other.down),
            session_up: self.session_up.saturating_add(other.session_up),
            session_down: self.session_down.saturating_add(other.session_down),
        }
    }
}

/// The bytes of an answer that a run takes from this participant; 0 for any other, which changes nothing.
pub(super) fn answered(
    run: &Run,
    participant: &ParticipantName,
    task: &TaskId,
    message: &ParticipantMessage,
) -> u64 {
    let awaits = |session: &Groups| {
        session.stage() == message.stage()
            && session.concerns(participant)
            && !session.has_answered(participant)
    };
    match run.phase() {
        RoundPhase::Training { session: Some(session), .. } | RoundPhase::Unmasking { session, .. }
            if *task == run.task() && awaits(&session.state) =>
        {
            answer_bytes(task, message)
        }
        _ => 0,
    }
}

/// The bytes of what these commands tell those who are connected.
pub(super) fn told(run: &Run, commands: &[Command]) -> u64 {
    let mut told = commands
        .iter()
        .filter_map(|command| match command {
            Command::Tell { participant, task } if *task == run.task() => Some((participant, task)),
            _ => None,
        })
        .peekable();
    if told.peek().is_none() {
        return 0;
    }
    let present = run.candidates();
    told.filter(|(participant, _)| present.contains(*participant))
        .flat_map(|(participant, task)| {
            run.told(participant).into_iter().map(|message| told_bytes(task, &message))
        })
        .sum()
}
