//! What a participant is told of the sum that its update is in.

use std::{collections::BTreeSet, sync::Arc};

use super::{Command, Run};
use crate::{
    ids::{Digest, ParticipantName, TaskId},
    privacy::secagg::{GroupSum, SumResult},
};

/// The last sums of a run, one for each group, and the model that was made of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LastSums {
    task: TaskId,
    groups: Vec<Arc<GroupSum>>,
    model: Digest,
}

impl LastSums {
    fn result(&self, group: &Arc<GroupSum>) -> SumResult {
        SumResult { task: self.task.clone(), group: Arc::clone(group), model: self.model }
    }
}

impl Run {
    /// What came of the last sum that this participant's update is in, unless the job has a newer one: of its own group
    /// only.
    #[must_use]
    pub fn result(&self, participant: &ParticipantName) -> Option<SumResult> {
        let last = self.last_sums.as_deref()?;
        let group = last.groups.iter().find(|group| group.survivors.contains(participant))?;
        Some(last.result(group))
    }

    /// Keeps the sums of an attempt in place of those before, and tells everyone who is there of its own.
    pub(super) fn keep_results(
        &mut self,
        task: &TaskId,
        model: Digest,
        sums: Vec<GroupSum>,
        commands: &mut Vec<Command>,
    ) {
        let groups = sums.into_iter().map(Arc::new).collect();
        let last = LastSums { task: task.clone(), groups, model };
        for group in &last.groups {
            let participants: BTreeSet<ParticipantName> =
                group.survivors.intersection(&self.present).cloned().collect();
            if !participants.is_empty() {
                commands.push(Command::TellResult { participants, result: last.result(group) });
            }
        }
        self.last_sums = Some(Arc::new(last));
    }

    /// Whoever comes may not have heard of its last sum.
    pub(super) fn tell_result(&self, participant: &ParticipantName) -> Option<Command> {
        let participants = BTreeSet::from([participant.clone()]);
        Some(Command::TellResult { participants, result: self.result(participant)? })
    }
}
