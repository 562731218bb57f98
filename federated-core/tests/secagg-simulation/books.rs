//! What everyone has said, and what has to be true of it.

use std::collections::{BTreeMap, BTreeSet};

use federated_core::{
    ids::Digest,
    job::Job,
    privacy::secagg::{CoordinatorMessage, ParticipantMessage, SessionId, Stage, VectorPlan},
    round::{RoundPhase, RoundSummary, RunEnd},
};

use crate::{
    ledger::Ledger,
    names::{self, Attempt},
    schedule::{Bears, Setup},
    site::Open,
    vector,
    violation::Violation,
};

/// What schedules are for: over all of them, each of these has to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All rounds are done.
    Completed,
    /// The attempts at a round are used up.
    Failed,
    /// A sum is right although somebody had dropped out after masks were agreed on.
    WithoutSome,
    /// An attempt was abandoned because too few took part in secure aggregation.
    Abandoned,
    /// A sum could not be unmasked.
    NotUnmasked,
    /// Wrong shares were found, and the sum was right all the same.
    LiarFound,
    /// The coordinator crashed while a session was under way.
    CrashedInSession,
    /// A session that was under way when the coordinator crashed gave a sum.
    Survived,
    /// A participant was told of a session that it had lost.
    SessionLost,
    /// A participant refused a second announcement.
    SecondRefused,
    /// An answer that was there already came again.
    SaidTwice,
    /// An answer was refused.
    Refused,
    /// A vector came too late.
    Late,
}

/// How many kinds of [`Sight`] there are.
pub(crate) const SIGHTS: usize = Sight::ALL.len();

impl Sight {
    pub(crate) const ALL: [Self; 13] = [
        Self::Completed,
        Self::Failed,
        Self::WithoutSome,
        Self::Abandoned,
        Self::NotUnmasked,
        Self::LiarFound,
        Self::CrashedInSession,
        Self::Survived,
        Self::SessionLost,
        Self::SecondRefused,
        Self::SaidTwice,
        Self::Refused,
        Self::Late,
    ];
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) seen: [u32; SIGHTS],
    pub(crate) bears: Bears,
    /// A round may close before all have delivered.
    pub(crate) early: bool,
    /// What a participant sent first in a stage.
    said: BTreeMap<(Attempt, usize, Stage), ParticipantMessage>,
    /// What the coordinator told a participant first in a stage.
    told: BTreeMap<(Attempt, usize, u8), CoordinatorMessage>,
    /// Participants that lied in an attempt: what they say may be anything.
    liars: BTreeSet<(Attempt, usize)>,
    /// The vectors without masks.
    inputs: BTreeMap<(Attempt, usize), Vec<u8>>,
    /// What is out of each session.
    ledgers: BTreeMap<Attempt, Ledger>,
    sessions: BTreeMap<Attempt, SessionId>,
    /// What was summed, by the model that it gave.
    sums: BTreeMap<Digest, (Attempt, Vec<usize>)>,
    /// Attempts that began after the faults stopped.
    fair: BTreeSet<Attempt>,
}

impl Books {
    pub(crate) fn see(&mut self, sight: Sight) {
        self.seen[sight as usize] += 1;
    }

    pub(crate) fn lies(&mut self, attempt: Attempt, site: usize) {
        self.liars.insert((attempt, site));
    }

    pub(crate) fn begins_fairly(&mut self, attempt: Attempt) {
        self.fair.insert(attempt);
    }

    pub(crate) fn masked(&mut self, attempt: Attempt, site: usize, plain: Vec<u8>) {
        self.inputs.insert((attempt, site), plain);
    }

    /// A participant sends an answer, which may arrive or not.
    pub(crate) fn said(
        &mut self,
        attempt: Attempt,
        site: usize,
        message: &ParticipantMessage,
        open: Option<&Open>,
    ) -> Result<(), Violation> {
        let stage = message.stage();
        let first = self.said.entry((attempt, site, stage)).or_insert_with(|| message.clone());
        if first != message && !self.liars.contains(&(attempt, site)) {
            return Err(match stage {
                Stage::AdvertiseKeys => Violation::TwoSessions { attempt, site },
                Stage::Consistency => Violation::TwoSignatures { attempt, site },
                _ => Violation::TwoAnswers { attempt, site, stage },
            });
        }
        let Some((open, cohort)) = open.and_then(|open| Some((open, open.cohort.as_ref()?))) else {
            return Ok(());
        };
        if *self.sessions.entry(attempt).or_insert(cohort.id) != cohort.id {
            return Err(Violation::TwoRosters { attempt });
        }
        let min_survivors = open.header.terms.min_survivors();
        let ledger = self.ledgers.entry(attempt);
        let ledger = ledger.or_insert_with(|| Ledger::new(cohort.clone(), min_survivors));
        match message {
            ParticipantMessage::ShareKeys(_) => ledger.shares(site),
            ParticipantMessage::Consistency(_) => {
                ledger.signs(site, open.survivors.as_ref().map(|survivors| survivors.0.clone()));
            }
            ParticipantMessage::Unmask(unmask) => return ledger.reveals(attempt, site, unmask),
            ParticipantMessage::AdvertiseKeys(_) => {}
        }
        Ok(())
    }

    /// An answer is at the coordinator, wanted or not.
    pub(crate) fn arrived(
        &mut self,
        attempt: Attempt,
        site: usize,
        message: &ParticipantMessage,
    ) -> Result<(), Violation> {
        match (message, self.ledgers.get_mut(&attempt)) {
            (ParticipantMessage::Unmask(unmask), Some(ledger)) => ledger.arrives(attempt, site, unmask),
            _ => Ok(()),
        }
    }

    /// A masked vector is at the coordinator.
    pub(crate) fn vector_arrived(&mut self, attempt: Attempt, site: usize) -> Result<(), Violation> {
        self.ledgers.get_mut(&attempt).map_or(Ok(()), |ledger| ledger.vector_arrives(attempt, site))
    }

    /// The coordinator tells a participant something, as it should.
    pub(crate) fn told(
        &mut self,
        attempt: Attempt,
        site: usize,
        message: &CoordinatorMessage,
    ) -> Result<(), Violation> {
        let kind = match message {
            CoordinatorMessage::Roster(_) => 0,
            CoordinatorMessage::Delivery(_) => 1,
            CoordinatorMessage::Survivors(_) => 2,
            CoordinatorMessage::Signatures(_) => 3,
        };
        let first = self.told.entry((attempt, site, kind)).or_insert_with(|| message.clone());
        if first == message { Ok(()) } else { Err(Violation::TwoTold { attempt, site }) }
    }

    /// A sum was made. Gives the model that it makes.
    pub(crate) fn summed(
        &mut self,
        plan: &VectorPlan,
        attempt: Attempt,
        contributors: Vec<usize>,
        sum: &[u8],
    ) -> Result<Digest, Violation> {
        let inputs = contributors.iter().filter_map(|site| self.inputs.get(&(attempt, *site)));
        let expected = vector::sum(plan, inputs.map(Vec::as_slice));
        if sum != expected {
            let (expected, found) = (vector::elements(plan, &expected), vector::elements(plan, sum));
            return Err(Violation::WrongSum { attempt, expected, found });
        }
        let mut bytes = format!("{attempt:?}").into_bytes();
        bytes.extend_from_slice(sum);
        let model = Digest::of(&bytes);
        self.sums.insert(model, (attempt, contributors));
        Ok(model)
    }

    /// An attempt ended.
    pub(crate) fn check_attempt(&mut self, summary: &RoundSummary) -> Result<(), Violation> {
        let attempt = Attempt { round: summary.round.get(), attempt: summary.attempt };
        match &summary.outcome {
            Ok(model) => {
                let named: Vec<usize> = summary.contributors.iter().map(names::site_of).collect();
                if self.sums.get(model) != Some(&(attempt, named.clone())) {
                    return Err(Violation::HistoryDiffers { attempt });
                }
                // Without an early end, whoever was asked is in the sum.
                if self.bears == Bears::AllOf && !self.early && named.len() < summary.cohort_size {
                    return Err(Violation::LeftOut { attempt, summed: named });
                }
                let ledger = self.ledgers.get(&attempt);
                if ledger.is_some_and(|ledger| ledger.sharers() > named.len()) {
                    self.see(Sight::WithoutSome);
                }
                Ok(())
            }
            Err(reason) => {
                self.see(Sight::Abandoned);
                let reason = reason.to_string();
                if reason.is_empty() {
                    return Err(Violation::NoReason { attempt });
                }
                if self.fair.contains(&attempt) || self.bears != Bears::Anything {
                    return Err(Violation::Unexplained { attempt, reason });
                }
                Ok(())
            }
        }
    }

    /// Whether a job that ended has the history for that.
    pub(crate) fn check_end(&mut self, setup: &Setup, job: &Job) -> Result<(), Violation> {
        let history = job.run().history();
        let completed = history.iter().filter(|summary| summary.outcome.is_ok()).count();
        let (sight, explained) = match job.run().phase() {
            RoundPhase::Ended(RunEnd::Completed) => {
                (Sight::Completed, completed == usize::from(setup.rounds))
            }
            RoundPhase::Ended(RunEnd::Failed { .. }) => {
                (Sight::Failed, history.last().is_some_and(|last| last.outcome.is_err()))
            }
            _ => return Err(Violation::Endless),
        };
        self.see(sight);
        let crashed = self.seen[Sight::CrashedInSession as usize] > 0;
        if crashed && history.first().is_some_and(|first| first.attempt == 1 && first.outcome.is_ok()) {
            self.see(Sight::Survived);
        }
        let wrong = || Violation::WrongEnd { end: format!("{:?}, {completed} rounds", job.run().phase()) };
        // The log names the same contributors as the sums that were made.
        history.iter().try_for_each(|summary| self.check_attempt(summary))?;
        if explained { Ok(()) } else { Err(wrong()) }
    }
}
