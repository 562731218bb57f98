use std::{collections::BTreeMap, fmt};

use federated_core::ids::{Digest, TaskId};

use super::{Victim, Word};
use crate::processes::Said;

/// What the processes have said until now.
#[derive(Debug)]
pub(crate) struct Board {
    coordinator_serves: bool,
    sites: Vec<Site>,
    /// Every receipt, by task and participant.
    receipts: BTreeMap<(TaskId, usize), Digest>,
    /// Tasks for which a participant has receipts of two different updates.
    conflicts: Vec<(TaskId, usize)>,
    /// Declined tasks and refused updates.
    refusals: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Site {
    step: Step,
    task: Option<TaskId>,
}

/// How far a participant is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Starts,
    Waits,
    Trains,
    Uploads,
    HasReceipt,
}

impl Board {
    pub(super) fn new(participants: usize) -> Self {
        Self {
            coordinator_serves: true,
            sites: vec![Site::default(); participants],
            receipts: BTreeMap::new(),
            conflicts: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// Notes that a process was started again.
    pub(super) fn restarted(&mut self, who: Victim) {
        match who {
            Victim::Coordinator => self.coordinator_serves = false,
            Victim::Participant(place) => self.sites[place].step = Step::Starts,
        }
    }

    /// Notes what a process said. Gives whether the job is further than before.
    pub(super) fn note(&mut self, who: Victim, said: &Said) -> Result<bool, String> {
        match (who, said) {
            (Victim::Coordinator, Said::Line(_)) => self.coordinator_serves = true,
            (Victim::Participant(place), Said::Line(line)) => return Ok(self.word(place, line.parse()?)),
            (_, Said::End) => {}
        }
        Ok(false)
    }

    fn word(&mut self, place: usize, word: Word) -> bool {
        let site = &mut self.sites[place];
        let (step, task) = match word {
            Word::Connected if site.step == Step::Starts => {
                site.step = Step::Waits;
                return false;
            }
            Word::Connected | Word::Disconnected => return false,
            Word::Began(task) => (Step::Trains, task),
            Word::Trained(task) => (Step::Uploads, task),
            Word::Receipt(task, content) => {
                let earlier = self.receipts.insert((task.clone(), place), content);
                if earlier.is_some_and(|earlier| earlier != content) {
                    self.conflicts.push((task.clone(), place));
                }
                (Step::HasReceipt, task)
            }
            Word::Refused(task, reason) => {
                self.refusals.push(format!("{task}: {reason}"));
                (Step::Waits, task)
            }
            Word::Withdrawn(task) => (Step::Waits, task),
        };
        *site = Site { step, task: Some(task) };
        step == Step::HasReceipt
    }

    /// Whether a participant has had a connection since it was started.
    pub(super) fn has_connected(&self, place: usize) -> bool {
        self.sites[place].step != Step::Starts
    }

    /// In the middle of what a process would be killed now.
    pub(super) fn scene(&self, who: Victim) -> &'static str {
        let any = |step| self.sites.iter().any(|site| site.step == step);
        match who {
            Victim::Participant(place) => match self.sites[place].step {
                Step::Starts => "a participant that starts",
                Step::Waits => "a participant that is connected",
                Step::Trains => "a participant that trains",
                Step::Uploads => "a participant that uploads",
                Step::HasReceipt => "a participant that has its receipt",
            },
            Victim::Coordinator if !self.coordinator_serves => "the coordinator that starts",
            Victim::Coordinator if any(Step::Uploads) => "the coordinator during uploads",
            Victim::Coordinator if any(Step::Trains) => "the coordinator during training",
            Victim::Coordinator if any(Step::Starts) || any(Step::Waits) => {
                "the coordinator with nobody at work"
            }
            Victim::Coordinator => "the coordinator between two rounds",
        }
    }

    /// The newest task that anybody worked on.
    pub(super) fn newest(&self) -> Option<&TaskId> {
        let tasks = self.sites.iter().filter_map(|site| site.task.as_ref());
        tasks.max_by_key(|task| (task.round, task.attempt))
    }

    /// Every receipt: for which task, and whose.
    pub(super) fn receipts(&self) -> impl Iterator<Item = (&TaskId, usize)> {
        self.receipts.keys().map(|(task, place)| (task, *place))
    }

    /// For how many tasks a participant has receipts of two different updates.
    pub(super) const fn conflicts(&self) -> usize {
        self.conflicts.len()
    }

    /// Declined tasks and refused updates, in words.
    pub(super) fn refusals(&self) -> &[String] {
        &self.refusals
    }
}

/// Where everybody is.
impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the coordinator {}", if self.coordinator_serves { "serves" } else { "starts" })?;
        for (place, Site { step, task }) in self.sites.iter().enumerate() {
            write!(f, "; participant {place}: {step:?}")?;
            if let Some(task) = task {
                write!(f, " {task}")?;
            }
        }
        Ok(())
    }
}
