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

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::*;
    use crate::{
        compression::Encoding,
        ids::Fingerprint,
        metrics::Metrics,
        round::{CohortPolicy, Event, Receipt, RunPlan, Timeouts, UpdateKind},
        selection::UniformSelector,
        time::Timestamp,
        update::ExampleCount,
    };

    fn name(index: usize) -> ParticipantName {
        format!("site-{index}").parse().unwrap()
    }

    fn names(indices: impl IntoIterator<Item = usize>) -> BTreeSet<ParticipantName> {
        indices.into_iter().map(name).collect()
    }

    fn send(run: &mut Run, event: Event) -> Vec<Command> {
        let (next, commands) =
            run.clone().handle(event, &UniformSelector, Timestamp::from_millis(0)).unwrap();
        *run = next;
        commands
    }

    /// A run of two rounds with six participants, of which the last has left, that waits for its first sum.
    fn run() -> Run {
        let number = |n| NonZeroU32::new(n).unwrap();
        let cohort = CohortPolicy {
            eligible: None,
            fraction: 1.0,
            min_participants: number(5),
            quorum: number(5),
            over_selection: 1.0,
        };
        let timeouts = Timeouts {
            deadline: Duration::from_secs(60),
            absence: Duration::from_secs(60),
            retry: Duration::ZERO,
        };
        let plan = RunPlan::new("job".parse().unwrap(), number(2), number(1), 7, cohort, timeouts).unwrap();
        let start = Timestamp::from_millis(0);
        let mut run = Run::new(plan, Digest::of(b"initial"), names(0..6), start);
        send(&mut run, Event::Tick);
        for index in 0..6 {
            let kind = UpdateKind::Open {
                encoding: Encoding::PLAIN,
                examples: ExampleCount::new(1).unwrap(),
                metrics: Metrics::new(),
            };
            let receipt = Receipt { content: Digest::of(b"update"), bytes: 8, kind };
            let (participant, task) = (name(index), run.task());
            send(&mut run, Event::UpdateStored { participant, task, receipt });
        }
        send(&mut run, Event::Left(name(5)));
        run
    }

    /// Two groups: 0, 2 and 4, and 1 and 5; 3 is in none.
    fn published(task: TaskId) -> Event {
        let sum = |session: u8, survivors: &[usize]| GroupSum {
            session: [session; 32].into(),
            survivors: names(survivors.iter().copied()),
            sum: Fingerprint::of(&[session]),
        };
        Event::SumPublished {
            task,
            model: Digest::of(b"next"),
            examples: 5,
            metrics: Metrics::new(),
            sums: vec![sum(1, &[0, 2, 4]), sum(2, &[1, 5])],
        }
    }

    #[test]
    fn whoever_is_there_is_told_of_its_own_groups_sum_before_its_next_task() {
        let mut run = run();
        let task = run.task();
        let commands = send(&mut run, published(task));
        let told: Vec<_> = commands
            .iter()
            .filter_map(|command| match command {
                Command::TellResult { participants, result } => {
                    Some((participants.clone(), *result.group.session.as_bytes()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(told, [(names([0, 2, 4]), [1; 32]), (names([1]), [2; 32])]);
        let place = |wanted: fn(&Command) -> bool| commands.iter().position(wanted).unwrap();
        let dispatched = place(|command| matches!(command, Command::Dispatch { .. }));
        assert!(place(|command| matches!(command, Command::TellResult { .. })) < dispatched);
    }

    #[test]
    fn whoever_was_away_is_told_when_it_comes_until_there_is_a_newer_sum() {
        let mut run = run();
        let task = run.task();
        send(&mut run, published(task.clone()));
        let commands = send(&mut run, Event::Joined(name(5)));
        let expected = run.result(&name(5)).unwrap();
        assert_eq!((expected.task.clone(), expected.model), (task, Digest::of(b"next")));
        let first = Command::TellResult { participants: names([5]), result: expected };
        assert_eq!(commands.first(), Some(&first));
        assert_eq!(run.result(&name(3)), None, "it is in no sum");
        run.last_sums = None;
        assert!(run.tell_result(&name(5)).is_none());
    }
}
