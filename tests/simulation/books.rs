//! What is true, beside what the machines think: who sent what, who got which receipt, and what there is to blame.

use std::collections::{BTreeMap, BTreeSet};

use federated_core::{
    ids::{Digest, TaskId},
    job::Job,
    round::{AbandonReason, OutReason, RoundPhase, RoundSummary, RunEnd},
};

use crate::{
    model::{Models, OneHot},
    names::{self, Slot},
    schedule::Setup,
    violation::Violation,
};

/// What went wrong, for the reasons that jobs give.
#[derive(Debug, Default)]
pub(crate) struct Excuses {
    /// Somebody's connection broke, or a process ended.
    pub(crate) absence: bool,
    pub(crate) failed_trainings: BTreeSet<usize>,
    pub(crate) failed_aggregation: bool,
    /// Time passed, or the clock was put forward.
    pub(crate) time: bool,
    pub(crate) stopped: BTreeSet<usize>,
}

/// What schedules are for: over all of them, each of these has to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All rounds are done.
    Completed,
    /// The attempts at a round are used up.
    Failed,
    /// An operator stopped the job.
    Stopped,
    /// An operator had the job go on.
    Retried,
    /// Everyone contributed in all rounds although there were crashes.
    Undisturbed,
    /// An aggregation was asked for again after a crash.
    AggregatedAgain,
    /// A participant that has a receipt asked for it, and got it again.
    ReceiptAgain,
    /// A whole update was in the spool when the coordinator crashed, and not in the log.
    SpooledUnlogged,
    /// A participant found its update in the state folder after a crash.
    UpdateFound,
    /// A stream took the place of one that the coordinator took for open.
    StreamReplaced,
    /// An upload took the place of one that was under way.
    UploadReplaced,
    /// An update came too late.
    Late,
    /// Another job took the model of a task.
    ModelTaken,
    /// A contributor never heard of the end: it was told on a connection that was broken already. Counted, not wanted.
    Untold,
}

/// How many kinds of [`Sight`] there are.
pub(crate) const SIGHTS: usize = Sight::ALL.len();

impl Sight {
    pub(crate) const ALL: [Self; 14] = [
        Self::Completed,
        Self::Failed,
        Self::Stopped,
        Self::Retried,
        Self::Undisturbed,
        Self::AggregatedAgain,
        Self::ReceiptAgain,
        Self::SpooledUnlogged,
        Self::UpdateFound,
        Self::StreamReplaced,
        Self::UploadReplaced,
        Self::Late,
        Self::ModelTaken,
        Self::Untold,
    ];
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) seen: [u32; SIGHTS],
    updates: u64,
    /// The update that a participant sent for a task.
    sent: BTreeMap<Slot, Digest>,
    /// The update that is in the job's log.
    counted: BTreeMap<Slot, Digest>,
    /// The update that a receipt was given for, whether it arrived or not.
    receipts: BTreeMap<Slot, Digest>,
    /// How often a receipt was given again: what a faulty coordinator counts.
    pub(crate) repeated: BTreeMap<Slot, u8>,
    /// Which participants heard that which jobs ended.
    pub(crate) heard: BTreeSet<(usize, usize)>,
    pub(crate) excuses: Excuses,
    /// Attempts that began after the faults stopped.
    fair: BTreeSet<(usize, u32, u32)>,
}

impl Books {
    pub(crate) fn see(&mut self, sight: Sight) {
        self.seen[sight as usize] += 1;
    }

    /// A new update: no two are alike, as if every training gave other values.
    pub(crate) fn trained(&mut self) -> Digest {
        self.updates += 1;
        Digest::of(&self.updates.to_le_bytes())
    }

    pub(crate) fn sent(&mut self, task: &TaskId, site: usize, content: Digest) -> Result<(), Violation> {
        only(&mut self.sent, task, site, content)
    }

    pub(crate) fn counted(&mut self, task: &TaskId, site: usize, content: Digest) -> Result<(), Violation> {
        only(&mut self.counted, task, site, content)
    }

    pub(crate) fn receipt(&mut self, task: &TaskId, site: usize, content: Digest) -> Result<(), Violation> {
        only(&mut self.receipts, task, site, content)
    }

    /// An attempt begins after the faults stopped.
    pub(crate) fn began_fairly(&mut self, task: &TaskId) {
        self.fair.insert((names::job_of(&task.job), task.round.get(), task.attempt));
    }

    /// Whether the newest attempt of a job ended as it should.
    pub(crate) fn check_attempt(
        &self,
        job: usize,
        summary: &RoundSummary,
        models: &Models,
        sites: usize,
    ) -> Result<(), Violation> {
        let task = TaskId { job: names::job(job).clone(), round: summary.round, attempt: summary.attempt };
        match &summary.outcome {
            Ok(model) => {
                let model = models.get(model).ok_or(Violation::ModelGone { job })?;
                (0..sites).try_for_each(|site| self.check_entry(&task, site, summary, model))
            }
            Err(reason) => self.check_reason(&task, reason),
        }
    }

    fn check_entry(
        &self,
        task: &TaskId,
        site: usize,
        summary: &RoundSummary,
        model: &OneHot,
    ) -> Result<(), Violation> {
        let (task, count) = (task.clone(), model.entry(summary.round, site));
        let contributes = summary.contributors.contains(names::site(site));
        let has_receipt = self.receipts.contains_key(&Slot::new(&task, site));
        match count {
            0 if has_receipt => Err(Violation::Lost { task, site }),
            0 if contributes => Err(Violation::HistoryDiffers { task, site, count }),
            0 => Ok(()),
            1 if contributes => Ok(()),
            1 => Err(Violation::HistoryDiffers { task, site, count }),
            _ => Err(Violation::CountedTwice { task, site, count }),
        }
    }

    fn check_reason(&self, task: &TaskId, reason: &AbandonReason) -> Result<(), Violation> {
        let began_fairly = self.fair.contains(&(names::job_of(&task.job), task.round.get(), task.attempt));
        let explained = !began_fairly
            && match reason {
                AbandonReason::QuorumImpossible { out, .. } => {
                    out.iter().all(|(name, reason)| self.explains(names::site_of(name), reason))
                }
                AbandonReason::DeadlineWithoutQuorum { .. } => self.excuses.time,
                AbandonReason::Aggregation { .. } => self.excuses.failed_aggregation,
                _ => false,
            };
        let unexplained = || Violation::Unexplained { task: task.clone(), reason: reason.to_string() };
        if explained { Ok(()) } else { Err(unexplained()) }
    }

    fn explains(&self, site: usize, reason: &OutReason) -> bool {
        match reason {
            OutReason::Absent => self.excuses.absence && self.excuses.time,
            OutReason::Declined { code, .. } => {
                code == "TRAINING_FAILED" && self.excuses.failed_trainings.contains(&site)
            }
            _ => false,
        }
    }

    /// Whether a job that ended did so for a reason, with the model that its history gives.
    pub(crate) fn check_end(
        &mut self,
        setup: &Setup,
        job: usize,
        state: &Job,
        models: &Models,
    ) -> Result<(), Violation> {
        let RoundPhase::Ended(end) = state.run().phase() else {
            return Err(Violation::Endless { job });
        };
        let sites = usize::from(setup.sites);
        let mut undisturbed = true;
        let mut completed = 0;
        for summary in state.run().history().iter().filter(|summary| summary.outcome.is_ok()) {
            completed += 1;
            undisturbed &= summary.contributors.len() == sites && summary.round.get() == completed;
        }
        let (sight, explained) = match end {
            RunEnd::Completed => (Sight::Completed, completed == u32::from(setup.rounds)),
            RunEnd::Stopped { .. } => (Sight::Stopped, self.excuses.stopped.contains(&job)),
            _ => (Sight::Failed, state.run().history().last().is_some_and(|last| last.outcome.is_err())),
        };
        self.see(sight);
        if !explained {
            return Err(Violation::WrongEnd { job, end: format!("{end:?} after {completed} rounds") });
        }
        if *end == RunEnd::Completed && undisturbed {
            if state.run().model() != OneHot::undisturbed(setup, job).digest() {
                return Err(Violation::WrongModel { job });
            }
            if self.excuses.absence {
                self.see(Sight::Undisturbed);
            }
        }
        for name in state.contributors() {
            if !self.heard.contains(&(job, names::site_of(&name))) {
                self.see(Sight::Untold);
            }
        }
        // The final model holds what each completed round added, and nothing else.
        let last = models.get(&state.run().model()).ok_or(Violation::ModelGone { job })?;
        for summary in state.run().history().iter().filter(|summary| summary.outcome.is_ok()) {
            let task =
                TaskId { job: names::job(job).clone(), round: summary.round, attempt: summary.attempt };
            (0..sites).try_for_each(|site| self.check_entry(&task, site, summary, last))?;
        }
        Ok(())
    }
}

fn only(
    entries: &mut BTreeMap<Slot, Digest>,
    task: &TaskId,
    site: usize,
    second: Digest,
) -> Result<(), Violation> {
    let first = *entries.entry(Slot::new(task, site)).or_insert(second);
    if first == second {
        Ok(())
    } else {
        Err(Violation::TwoUpdates { task: task.clone(), site, first, second })
    }
}
