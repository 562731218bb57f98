use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use anyhow::Result;

use super::{Counted, Tally, board::Board, crew::name, run::Done};

/// What is said of all jobs together.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// How often a process was killed.
    pub kills: u32,
    /// Receipts of updates that are not among the contributions of their round, and participants whose entries in a final
    /// model are smaller than they must be.
    pub lost_receipts: usize,
    /// Rounds completed twice, participants counted twice in one, tasks with receipts for two updates, and participants
    /// whose entries in a final model are larger than they must be.
    pub double_counts: usize,
    /// Whether every final model has the digest of the one of the undisturbed job.
    pub same: bool,
    /// How many receipts there are.
    pub receipts: usize,
    /// How often a process was killed, by what it was in the middle of.
    pub scenes: BTreeMap<&'static str, u32>,
    /// Declined tasks and refused updates, in words.
    pub refusals: Vec<String>,
}

impl Verdict {
    pub(super) fn new(
        jobs: &[Done],
        board: &Board,
        scenes: BTreeMap<&'static str, u32>,
        participants: usize,
    ) -> Result<Self> {
        let mut digests = jobs.iter().map(|job| job.model.digest());
        let undisturbed = digests.next();
        let same = undisturbed.is_some() && digests.all(|digest| Some(digest) == undisturbed);
        let mut verdict = Self {
            kills: scenes.values().sum(),
            same,
            receipts: board.receipts().count(),
            lost_receipts: board.receipts().filter(|(task, place)| !counts(jobs, task, *place)).count(),
            double_counts: board.conflicts(),
            scenes,
            refusals: board.refusals().to_vec(),
        };
        for job in jobs {
            let Counted { over, under } = Tally::count(&job.model, job.status.rounds, participants)?;
            verdict.lost_receipts += under;
            verdict.double_counts += over + doubled(job);
        }
        Ok(verdict)
    }

    /// Whether nothing was lost, nothing counted twice, and the models are the same.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.lost_receipts == 0 && self.double_counts == 0 && self.same
    }
}

/// Whether an update that got a receipt is among the contributions of a round that completed.
fn counts(jobs: &[Done], task: &federated_core::ids::TaskId, place: usize) -> bool {
    let job = jobs.iter().find(|job| job.status.job == task.job.as_str());
    job.into_iter().flat_map(|job| &job.status.history).any(|round| {
        let is_it = (round.round, round.attempt) == (task.round.get(), task.attempt);
        is_it && round.completed && round.contributors.contains(&name(place))
    })
}

/// Rounds that completed more than once, and contributors that are named more than once.
fn doubled(job: &Done) -> usize {
    let completed = job.status.history.iter().filter(|round| round.completed);
    let rounds: BTreeSet<u32> = completed.clone().map(|round| round.round).collect();
    let twice = completed.clone().count() - rounds.len();
    let contributors = completed.map(|round| {
        let different: BTreeSet<&String> = round.contributors.iter().collect();
        round.contributors.len() - different.len()
    });
    twice + contributors.sum::<usize>()
}

/// The last line of the program.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, lost_receipts, double_counts, same, .. } = self;
        let same = if *same { "same" } else { "different" };
        write!(
            f,
            "kills {kills}, lost receipts {lost_receipts}, double counts {double_counts}, digest {same}"
        )
    }
}
