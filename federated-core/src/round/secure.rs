//! What secure aggregation adds to a round: keys are exchanged while participants train, and when their masked updates are
//! in, they agree on unmasking the sum.
//!
//! What the participants say is decided about by the sessions of their [`Groups`]; here is when a stage ends, and for whom
//! it goes on. A participant that is connected answers at once, so whoever is silent for the time-out `absence` is treated as if it
//! were disconnected: no further time-out is needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use super::{
    AbandonReason, AdmissionError, Command, Member, OutReason, RoundPhase, Run, SecurePlan, WithdrawReason,
};
use crate::{
    fault::{Fault, ReasonCode},
    ids::{ParticipantName, TaskId},
    privacy::secagg::{
        CoordinatorMessage, CoordinatorProtocol, CoordinatorSession, GroupSum, Groups, Header,
        MessageAdmission, ParticipantMessage, SessionError, Stage,
    },
    time::Timestamp,
};

/// Answers take a while to travel, however impatient a job is with those who are disconnected.
const LEAST_SILENCE: Duration = Duration::from_secs(10);

/// The sessions of an attempt and since when they are at their stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// What was said.
    pub state: Arc<Groups>,
    /// Since when they are at their stage.
    pub since: Timestamp,
}

/// Why a message of secure aggregation is not wanted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is for another task, or from somebody without a part in it.
    #[error(transparent)]
    Task(#[from] AdmissionError),
    /// It does not fit the session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The job's updates are not masked.
    #[error("{task} has no secure aggregation; expected no message of it")]
    NotSecure {
        /// The task named.
        task: TaskId,
    },
}

/// Whether a round can be completed with some updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sufficiency {
    /// It cannot.
    TooFew,
    /// It can, but a group would be left out.
    Enough,
    /// It can, with every group.
    All,
}

impl AnswerError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Task(error) => error.fault(),
            Self::Session(error) => error.fault(),
            Self::NotSecure { .. } => Fault::Peer,
        }
    }

    /// What the participant is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Task(error) => error.reason(),
            Self::Session(error) => error.reason(),
            Self::NotSecure { .. } => ReasonCode::new("SECAGG_STAGE"),
        }
    }
}

impl Run {
    /// Whether a message of secure aggregation is wanted from this participant.
    ///
    /// # Errors
    /// [`AnswerError`] when it is not, with what to do instead.
    pub fn admit_answer(
        &self,
        participant: &ParticipantName,
        task: &TaskId,
        message: &ParticipantMessage,
    ) -> Result<MessageAdmission, AnswerError> {
        self.check_current(task)?;
        let task = task.clone();
        let session = match &self.phase {
            RoundPhase::Training { cohort, session, .. } => {
                match cohort.get(participant) {
                    None => return Err(AdmissionError::NotInCohort { task }.into()),
                    Some(Member::Out(reason)) => {
                        return Err(AdmissionError::Out { task, reason: reason.to_string() }.into());
                    }
                    Some(_) => {}
                }
                session.as_ref()
            }
            RoundPhase::Unmasking { session, .. } => Some(session),
            // The masks are coming off: an answer that comes again was lost on its way back.
            RoundPhase::Aggregating { session: Some(_), contributions, .. }
                if contributions.contains_key(participant) =>
            {
                return Ok(MessageAdmission::Duplicate);
            }
            _ => return Err(AdmissionError::Closed { task }.into()),
        };
        let session = session.ok_or(AnswerError::NotSecure { task })?;
        let roster = self.plan.secure.as_ref().and_then(|secure| secure.roster.as_ref());
        Ok(session.state.admit(participant, message, roster)?)
    }

    /// What this participant is told of secure aggregation at this moment, in this order.
    #[must_use]
    pub fn told(&self, participant: &ParticipantName) -> Vec<CoordinatorMessage> {
        match &self.phase {
            RoundPhase::Training { cohort, session: Some(session), .. } => {
                let works = matches!(cohort.get(participant), Some(Member::Working | Member::Absent { .. }));
                if works { session.state.messages(participant) } else { Vec::new() }
            }
            RoundPhase::Unmasking { session, out, .. } if !out.contains_key(participant) => {
                session.state.messages(participant)
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn tell(&self, participant: &ParticipantName) -> Option<Command> {
        let told = !self.told(participant).is_empty();
        told.then(|| Command::Tell { participant: participant.clone(), task: self.task() })
    }

    /// How many updates are needed in all.
    pub(super) fn quorum(&self) -> u32 {
        let quorum = self.plan.cohort.quorum.get();
        match (&self.phase, &self.plan.secure) {
            (RoundPhase::Training { session: Some(session), .. }, Some(secure))
                if secure.grouping.groups() == NonZeroU32::MIN =>
            {
                session.state.open().map(CoordinatorProtocol::least_vectors).fold(quorum, u32::max)
            }
            _ => quorum,
        }
    }

    /// Whether the updates of these would be enough.
    pub(super) fn suffice<'a>(
        &self,
        names: impl Iterator<Item = &'a ParticipantName> + Clone,
    ) -> Sufficiency {
        if (names.clone().count() as u64) < u64::from(self.plan.cohort.quorum.get()) {
            return Sufficiency::TooFew;
        }
        let RoundPhase::Training { session: Some(session), .. } = &self.phase else {
            return Sufficiency::All;
        };
        match session.state.summable(names) {
            (can, _) if (can as u64) < u64::from(session.state.least().get()) => Sufficiency::TooFew,
            (_, 0) => Sufficiency::All,
            _ => Sufficiency::Enough,
        }
    }

    /// The most that may be asked, where keys are exchanged among them.
    pub(super) fn most_selected(&self, count: usize) -> usize {
        let Some(secure) = &self.plan.secure else { return count };
        let most = secure.terms.max_cohort().saturating_mul(secure.grouping.groups().get());
        count.min(usize::try_from(most).unwrap_or(usize::MAX))
    }

    pub(super) fn new_session(&self, cohort: &BTreeSet<ParticipantName>, now: Timestamp) -> Option<Session> {
        let SecurePlan { terms, training, grouping, .. } = self.plan.secure.as_ref()?;
        let header = Header {
            task: self.task(),
            model: self.model,
            training: *training,
            terms: terms.clone(),
            deadline: self.plan.timeouts.deadline,
        };
        let places = grouping.divide(self.plan.seed, &self.task(), cohort);
        let groups = Groups::new(&CoordinatorSession::new(header), *grouping, places);
        Some(Session { state: Arc::new(groups), since: now })
    }

    /// Keeps what a participant says.
    pub(super) fn answered(
        &mut self,
        participant: &ParticipantName,
        task: &TaskId,
        message: ParticipantMessage,
    ) {
        if *task != self.task() {
            return;
        }
        if let RoundPhase::Training { session: Some(session), .. } | RoundPhase::Unmasking { session, .. } =
            &mut self.phase
        {
            Arc::make_mut(&mut session.state).receive(participant, message);
        }
    }

    /// How long a participant that is connected may leave a question unanswered.
    fn silence(&self) -> Duration {
        self.plan.timeouts.absence.max(LEAST_SILENCE)
    }

    /// When whoever has not answered is given up.
    pub(super) fn silence_ends(&self) -> Option<Timestamp> {
        let since = match &self.phase {
            RoundPhase::Training { session: Some(session), .. }
                if session.state.stage() < Stage::MaskedInput =>
            {
                session.since
            }
            RoundPhase::Unmasking { session, .. } => session.since,
            _ => return None,
        };
        Some(since.after(self.silence()))
    }

    /// Ends the first two stages when everyone who can has answered.
    pub(super) fn exchange_keys(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        let silence_over = self.silence_ends().is_some_and(|end| now >= end);
        let RoundPhase::Training { cohort, session: Some(session), .. } = &mut self.phase else { return };
        let stage = session.state.stage();
        if stage >= Stage::MaskedInput {
            return;
        }
        let mut waits = false;
        for (name, member) in cohort.iter_mut() {
            let awaited = matches!(member, Member::Working | Member::Absent { .. })
                && session.state.concerns(name)
                && !session.state.has_answered(name);
            if awaited && silence_over {
                *member = Member::Out(OutReason::Silent { stage });
            }
            waits |= awaited && !silence_over;
        }
        if waits {
            return;
        }
        match session.state.close(&BTreeSet::new()) {
            Ok(next) => {
                *session = Session { state: Arc::new(next), since: now };
                let members: Vec<ParticipantName> = cohort.keys().cloned().collect();
                self.leave_lost_groups(commands);
                commands.extend(members.iter().filter_map(|name| self.tell(name)));
                // Nobody is asked anything more in a stage that nobody has a part in.
                self.exchange_keys(now, commands);
            }
            Err(error) => self.give_up(&error.to_string(), now, commands),
        }
    }

    /// Tells those whose masked updates are in whose they are.
    pub(super) fn announce_survivors(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        let RoundPhase::Unmasking { contributions, session, .. } = &mut self.phase else { return };
        match session.state.close(&contributions.keys().cloned().collect()) {
            Ok(next) => {
                *session = Session { state: Arc::new(next), since: now };
                self.leave_lost_groups(commands);
                self.tell_survivors(commands);
            }
            Err(error) => self.give_up(&error.to_string(), now, commands),
        }
    }

    fn tell_survivors(&self, commands: &mut Vec<Command>) {
        let RoundPhase::Unmasking { contributions, .. } = &self.phase else { return };
        commands.extend(contributions.keys().filter_map(|name| self.tell(name)));
    }

    /// Ends the last two stages when everyone who can has answered, or enough have and the others are gone.
    pub(super) fn unmask(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        let silence_over = self.silence_ends().is_some_and(|end| now >= end);
        let RoundPhase::Unmasking { contributions, session, out, .. } = &mut self.phase else { return };
        let awaited =
            contributions.keys().filter(|name| !out.contains_key(*name) && !session.state.has_answered(name));
        let (mut anybody, mut present) = (false, false);
        for name in awaited {
            anybody = true;
            present |= self.present.contains(name);
        }
        if anybody && !silence_over && (present || !session.state.have_enough()) {
            return;
        }
        let last = session.state.stage() == Stage::Unmask;
        let next = if last { session.state.settle() } else { session.state.close(&BTreeSet::new()) };
        match next {
            Ok(next) => {
                *session = Session { state: Arc::new(next), since: now };
                self.leave_lost_groups(commands);
                if last {
                    self.aggregate_masked(now, commands);
                } else {
                    self.tell_survivors(commands);
                    self.unmask(now, commands);
                }
            }
            Err(error) => self.give_up(&error.to_string(), now, commands),
        }
    }

    /// Has the masks taken off, if there are still as many updates as a round needs.
    fn aggregate_masked(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        let (task, quorum) = (self.task(), self.plan.cohort.quorum.get());
        let RoundPhase::Unmasking { began, cohort_size, contributions, session, .. } = &mut self.phase else {
            return;
        };
        let found = contributions.len();
        if (found as u64) < u64::from(quorum) {
            let reason =
                format!("{found} updates are in groups that can be summed, and the quorum is {quorum}");
            return self.give_up(&reason, now, commands);
        }
        let contributions = std::mem::take(contributions);
        let (began, cohort_size, session) = (*began, *cohort_size, Some(Arc::clone(&session.state)));
        let aggregate =
            Command::Aggregate { task, contributions: contributions.clone(), session: session.clone() };
        commands.push(aggregate);
        self.phase = RoundPhase::Aggregating { began, cohort_size, contributions, session };
    }

    /// Goes on without those whose group cannot be summed, and tells them.
    fn leave_lost_groups(&mut self, commands: &mut Vec<Command>) {
        let task = self.task();
        let withdraw = |participant: &ParticipantName| Command::Withdraw {
            participant: participant.clone(),
            task: task.clone(),
            reason: WithdrawReason::GroupLost,
        };
        match &mut self.phase {
            RoundPhase::Training { cohort, session: Some(session), .. } => {
                for (name, member) in
                    cohort.iter_mut().filter(|(_, member)| !matches!(member, Member::Out(_)))
                {
                    let Some(reason) = session.state.lost(name) else { continue };
                    if matches!(member, Member::Working) {
                        commands.push(withdraw(name));
                    }
                    *member = Member::Out(OutReason::GroupLost { reason: reason.to_string() });
                }
            }
            RoundPhase::Unmasking { contributions, session, out, .. } => {
                contributions.retain(|name, _| {
                    let Some(reason) = session.state.lost(name) else { return true };
                    let reason = OutReason::GroupLost { reason: reason.to_string() };
                    if out.insert(name.clone(), reason).is_none() && self.present.contains(name) {
                        commands.push(withdraw(name));
                    }
                    false
                });
            }
            _ => {}
        }
    }

    /// Of the updates that were to be combined, those that are in a sum.
    pub(super) fn keep_summed(&mut self, sums: &[GroupSum]) {
        if let RoundPhase::Aggregating { contributions, .. } = &mut self.phase {
            contributions.retain(|name, _| sums.iter().any(|sum| sum.survivors.contains(name)));
        }
    }

    fn give_up(&mut self, reason: &str, now: Timestamp, commands: &mut Vec<Command>) {
        let out = match &self.phase {
            RoundPhase::Training { cohort, .. } => cohort
                .iter()
                .filter_map(|(name, member)| match member {
                    Member::Out(reason) => Some((name.clone(), reason.clone())),
                    _ => None,
                })
                .collect(),
            RoundPhase::Unmasking { out, .. } => out.clone(),
            _ => BTreeMap::new(),
        };
        self.abandon(AbandonReason::SecureAggregation { reason: reason.to_owned(), out }, now, commands);
    }
}
