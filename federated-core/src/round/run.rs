use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    AbandonReason, Command, Event, History, Hold, Member, OutReason, Receipt, RoundError, RoundPhase,
    RoundSummary, RunEnd, RunPlan, UpdateKind, WithdrawReason, result::LastSums, secure::Sufficiency,
};
use crate::{
    ids::{Digest, ParticipantName, RoundNumber, TaskId},
    metrics::Metrics,
    selection::ClientSelector,
    time::Timestamp,
    update::ExampleCount,
};

/// A job under way. What its events give, and nothing else: replayed after a restart, it goes on ([`Run::resumed`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub(super) plan: RunPlan,
    round: RoundNumber,
    attempt: u32,
    /// The first attempt at this round since the run began or was last retried: attempts are counted from it.
    first_attempt: u32,
    pub(super) model: Digest,
    pub(super) phase: RoundPhase,
    hold: Option<Hold>,
    /// Who is connected. Connections do not outlive the process, so this is not written down.
    pub(super) present: BTreeSet<ParticipantName>,
    history: History,
    /// Copies share it: it has the names of a whole cohort.
    pub(super) last_sums: Option<Arc<LastSums>>,
}

impl Run {
    /// A run before its first round. `present` are the participants connected at this moment, whether eligible or not.
    #[must_use]
    pub fn new(plan: RunPlan, model: Digest, present: BTreeSet<ParticipantName>, now: Timestamp) -> Self {
        let phase = RoundPhase::Gathering { not_before: now };
        Self {
            plan,
            round: RoundNumber::FIRST,
            attempt: 1,
            first_attempt: 1,
            model,
            phase,
            hold: None,
            present,
            history: History::default(),
            last_sums: None,
        }
    }

    /// A run after a restart: nobody is connected yet, and the absence of everyone who works begins now. Participants
    /// could deliver nothing for as long as the coordinator was `away`, so the deadline is as much later.
    ///
    /// An aggregation that was under way is asked for again; it gives the same model.
    #[must_use]
    pub fn resumed(mut self, away: Duration, now: Timestamp) -> (Self, Vec<Command>) {
        self.present.clear();
        let task = self.task();
        match &mut self.phase {
            RoundPhase::Training { deadline, cohort, session, .. } => {
                *deadline = deadline.after(away);
                session.iter_mut().for_each(|session| session.since = now);
                let working =
                    |member: &&mut Member| matches!(member, Member::Working | Member::Absent { .. });
                cohort
                    .values_mut()
                    .filter(working)
                    .for_each(|member| *member = Member::Absent { since: now });
                (self, Vec::new())
            }
            RoundPhase::Unmasking { session, .. } => {
                session.since = now;
                (self, Vec::new())
            }
            RoundPhase::Aggregating { contributions, session, .. } => {
                let (contributions, session) = (contributions.clone(), session.clone());
                (self, vec![Command::Aggregate { task, contributions, session }])
            }
            RoundPhase::Gathering { .. } | RoundPhase::Ended(_) => (self, Vec::new()),
        }
    }

    /// What was agreed.
    #[must_use]
    pub const fn plan(&self) -> &RunPlan {
        &self.plan
    }

    /// The current round, or the last one when the run has ended.
    #[must_use]
    pub const fn round(&self) -> RoundNumber {
        self.round
    }

    /// The current attempt, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The newest model.
    #[must_use]
    pub const fn model(&self) -> Digest {
        self.model
    }

    /// Where the run is.
    #[must_use]
    pub const fn phase(&self) -> &RoundPhase {
        &self.phase
    }

    /// Why no attempt may begin, if that is so. One that is under way goes on.
    #[must_use]
    pub const fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    /// Whether the run is over.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.phase, RoundPhase::Ended(_))
    }

    /// Attempts that ended, oldest first.
    #[must_use]
    pub fn history(&self) -> &[Arc<RoundSummary>] {
        self.history.summaries()
    }

    /// The task of the current attempt.
    #[must_use]
    pub fn task(&self) -> TaskId {
        TaskId { job: self.plan.job.clone(), round: self.round, attempt: self.attempt }
    }

    /// The participants that are present and may take part.
    #[must_use]
    pub fn candidates(&self) -> BTreeSet<ParticipantName> {
        self.present.iter().filter(|name| self.plan.cohort.is_eligible(name)).cloned().collect()
    }

    /// Takes one event and gives the next state, with what the edge has to do.
    ///
    /// Events that come too late (an update of a finished attempt, a participant that is not in the cohort) change
    /// nothing. The last command is a [`Command::WakeAt`] whenever time alone can change something.
    ///
    /// # Errors
    /// [`RoundError`] when the edge contradicts itself; the run is then best read back from what was written down.
    pub fn handle(
        mut self,
        event: Event,
        selector: &dyn ClientSelector,
        now: Timestamp,
    ) -> Result<(Self, Vec<Command>), RoundError> {
        let mut commands = Vec::new();
        match event {
            Event::Joined(participant) => self.joined(participant, &mut commands),
            Event::Left(participant) => self.left(&participant, now),
            Event::UpdateStored { participant, task, receipt } => {
                self.set_member(&participant, &task, Member::Reported(receipt));
            }
            Event::MemberFailed { participant, task, reason } => {
                self.set_member(&participant, &task, Member::Out(reason));
            }
            // Stopped while the edge was combining, and perhaps retried.
            Event::ModelPublished { task, .. }
            | Event::SumPublished { task, .. }
            | Event::AggregationFailed { task, .. }
                if self.has_ended() || self.is_past(&task) => {}
            Event::ModelPublished { task, model } => {
                self.published(&task, model, None, now, &mut commands)?;
            }
            Event::SumPublished { task, model, examples, metrics, sums } => {
                self.keep_summed(&sums);
                self.keep_results(&task, model, sums, &mut commands);
                self.published(&task, model, Some((examples, metrics)), now, &mut commands)?;
            }
            Event::Answered { participant, task, message } => self.answered(&participant, &task, message),
            Event::AggregationFailed { task, reason } => {
                self.check_aggregating(&task)?;
                self.abandon(AbandonReason::Aggregation { reason }, now, &mut commands);
            }
            Event::Tick => {}
            Event::BudgetRefused { task, reason } => self.refuse(&task, reason, now, &mut commands),
            Event::StopRequested { operator } => self.end(RunEnd::Stopped { operator }, &mut commands),
            Event::Held(hold) => self.hold = Some(hold),
            Event::Released => self.hold = None,
            Event::RetryRequested { present, .. } => self.retry(present, now),
        }
        self.advance(selector, now, &mut commands);
        Ok((self, commands))
    }

    fn joined(&mut self, participant: ParticipantName, commands: &mut Vec<Command>) {
        // Before its next task, which it may judge by what came of the last.
        commands.extend(self.tell_result(&participant));
        if let RoundPhase::Training { cohort, deadline, .. } = &mut self.phase
            && let Some(member @ (Member::Absent { .. } | Member::Working)) = cohort.get_mut(&participant)
        {
            *member = Member::Working;
            let task = TaskId { job: self.plan.job.clone(), round: self.round, attempt: self.attempt };
            commands.push(Command::Dispatch { participant: participant.clone(), task, deadline: *deadline });
        }
        commands.extend(self.tell(&participant));
        self.present.insert(participant);
    }

    fn left(&mut self, participant: &ParticipantName, now: Timestamp) {
        self.present.remove(participant);
        if let RoundPhase::Training { cohort, .. } = &mut self.phase
            && let Some(member @ Member::Working) = cohort.get_mut(participant)
        {
            *member = Member::Absent { since: now };
        }
    }

    /// Sets where a member is, if it has the task and has not delivered.
    fn set_member(&mut self, participant: &ParticipantName, task: &TaskId, state: Member) {
        if *task != self.task() {
            return;
        }
        match (&mut self.phase, state) {
            (RoundPhase::Training { cohort, .. }, state) => {
                if let Some(member @ (Member::Working | Member::Absent { .. })) = cohort.get_mut(participant)
                {
                    *member = state;
                }
            }
            (RoundPhase::Unmasking { contributions, out, .. }, Member::Out(reason))
                if contributions.contains_key(participant) =>
            {
                out.entry(participant.clone()).or_insert(reason);
            }
            _ => {}
        }
    }

    /// Does everything that can be done now, and asks to be woken for what time alone will change.
    fn advance(&mut self, selector: &dyn ClientSelector, now: Timestamp, commands: &mut Vec<Command>) {
        self.begin_if_due(selector, now, commands);
        self.expel_absent(now);
        self.exchange_keys(now, commands);
        self.close_if_due(now, commands);
        self.unmask(now, commands);
        // An attempt that was abandoned just now is tried again at once when there is no pause.
        self.begin_if_due(selector, now, commands);
        self.wake(now, commands);
    }

    /// Begins an attempt when its pause is over and enough participants are present.
    fn begin_if_due(&mut self, selector: &dyn ClientSelector, now: Timestamp, commands: &mut Vec<Command>) {
        let due = matches!(self.phase, RoundPhase::Gathering { not_before } if now >= not_before);
        if !due || self.hold.is_some() {
            return;
        }
        let candidates = self.candidates();
        let needed = usize::try_from(self.plan.cohort.min_participants.get()).unwrap_or(usize::MAX);
        if candidates.len() < needed {
            return;
        }
        let task = self.task();
        let count = self.most_selected(self.plan.cohort.selected(candidates.len()));
        let chosen = selector.select(self.plan.seed, &task, &candidates, count);
        let deadline = now.after(self.plan.timeouts.deadline);
        commands.extend(chosen.iter().map(|participant| Command::Dispatch {
            participant: participant.clone(),
            task: task.clone(),
            deadline,
        }));
        let target = self.plan.cohort.target(candidates.len()).min(count);
        let session = self.new_session(&chosen, now);
        let cohort = chosen.into_iter().map(|participant| (participant, Member::Working)).collect();
        self.phase = RoundPhase::Training { began: now, deadline, target, cohort, session };
    }

    fn expel_absent(&mut self, now: Timestamp) {
        let RoundPhase::Training { cohort, .. } = &mut self.phase else {
            return;
        };
        for member in cohort.values_mut() {
            if matches!(member, Member::Absent { since } if now >= since.after(self.plan.timeouts.absence)) {
                *member = Member::Out(OutReason::Absent);
            }
        }
    }

    /// Closes the attempt when its result is certain: enough updates, everyone answered, deadline, or no quorum.
    fn close_if_due(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        let RoundPhase::Training { deadline, target, cohort, .. } = &self.phase else {
            return;
        };
        let those = |wanted: fn(&Member) -> bool| {
            cohort.iter().filter(move |(_, member)| wanted(member)).map(|(name, _)| name)
        };
        let reported = || those(|member| matches!(member, Member::Reported(_)));
        let possible = || those(|member| !matches!(member, Member::Out(_)));
        let (reported, possible, sufficiency) =
            (reported().count(), possible().count(), (self.suffice(reported()), self.suffice(possible())));
        let quorum = self.quorum();
        let on_time = reported >= *target && sufficiency.0 == Sufficiency::All;
        if sufficiency.0 >= Sufficiency::Enough && (on_time || possible == reported || now >= *deadline) {
            self.close(now, commands);
        } else if sufficiency.1 == Sufficiency::TooFew {
            let out = cohort.iter().filter_map(|(name, member)| match member {
                Member::Out(reason) => Some((name.clone(), reason.clone())),
                _ => None,
            });
            let reason = AbandonReason::QuorumImpossible { quorum, possible, out: out.collect() };
            self.abandon(reason, now, commands);
        } else if now >= *deadline {
            self.abandon(AbandonReason::DeadlineWithoutQuorum { quorum, reported }, now, commands);
        }
    }

    fn close(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        self.withdraw_all(WithdrawReason::RoundClosed, commands);
        let task = self.task();
        let RoundPhase::Training { began, cohort, session, .. } = &mut self.phase else {
            return;
        };
        let (began, cohort_size, session) = (*began, cohort.len(), session.take());
        let contributions: BTreeMap<ParticipantName, Receipt> = std::mem::take(cohort)
            .into_iter()
            .filter_map(|(participant, member)| match member {
                Member::Reported(receipt) => Some((participant, receipt)),
                _ => None,
            })
            .collect();
        if let Some(session) = session {
            let out = BTreeMap::new();
            self.phase = RoundPhase::Unmasking { began, cohort_size, contributions, session, out };
            return self.announce_survivors(now, commands);
        }
        let session = None;
        commands.push(Command::Aggregate { task, contributions: contributions.clone(), session: None });
        self.phase = RoundPhase::Aggregating { began, cohort_size, contributions, session };
    }

    fn is_past(&self, task: &TaskId) -> bool {
        task.job == self.plan.job && (task.round, task.attempt) < (self.round, self.attempt)
    }

    fn check_aggregating(&self, task: &TaskId) -> Result<(), RoundError> {
        if matches!(self.phase, RoundPhase::Aggregating { .. }) && *task == self.task() {
            Ok(())
        } else {
            Err(RoundError::NotAggregating { task: task.clone() })
        }
    }

    fn published(
        &mut self,
        task: &TaskId,
        model: Digest,
        sum: Option<(u64, Metrics)>,
        now: Timestamp,
        commands: &mut Vec<Command>,
    ) -> Result<(), RoundError> {
        self.check_aggregating(task)?;
        let mut summary = self.summary(Ok(model), now);
        if let Some((examples, metrics)) = sum {
            (summary.examples, summary.metrics) = (examples, metrics);
        }
        self.record(summary, commands);
        self.model = model;
        if self.round.get() >= self.plan.rounds.get() {
            self.end(RunEnd::Completed, commands);
        } else {
            self.round = self.round.next();
            (self.attempt, self.first_attempt) = (1, 1);
            self.phase = RoundPhase::Gathering { not_before: now };
        }
        Ok(())
    }

    pub(super) fn abandon(&mut self, reason: AbandonReason, now: Timestamp, commands: &mut Vec<Command>) {
        self.withdraw_all(WithdrawReason::RoundAbandoned, commands);
        let summary = self.summary(Err(reason.clone()), now);
        self.record(summary, commands);
        if self.attempt - self.first_attempt + 1 >= self.plan.attempts.get() {
            self.end(RunEnd::Failed { reason }, commands);
        } else {
            self.attempt += 1;
            self.phase = RoundPhase::Gathering { not_before: now.after(self.plan.timeouts.retry) };
        }
    }

    /// Ends the run before an attempt that the budget does not pay for: no later one would cost less.
    fn refuse(&mut self, task: &TaskId, reason: String, now: Timestamp, commands: &mut Vec<Command>) {
        if *task != self.task() || !matches!(self.phase, RoundPhase::Training { .. }) {
            return;
        }
        let reason = AbandonReason::PrivacyBudget { reason };
        let summary = self.summary(Err(reason.clone()), now);
        self.record(summary, commands);
        self.end(RunEnd::Failed { reason }, commands);
    }

    /// Begins the round that a run ended in once more. A run that is not over, or has all its rounds, has nothing to
    /// retry.
    fn retry(&mut self, present: BTreeSet<ParticipantName>, now: Timestamp) {
        if matches!(self.phase, RoundPhase::Ended(RunEnd::Failed { .. } | RunEnd::Stopped { .. })) {
            self.present = present;
            self.attempt += 1;
            self.first_attempt = self.attempt;
            self.phase = RoundPhase::Gathering { not_before: now };
        }
    }

    fn end(&mut self, end: RunEnd, commands: &mut Vec<Command>) {
        if self.has_ended() {
            return;
        }
        self.withdraw_all(WithdrawReason::RunEnded, commands);
        self.phase = RoundPhase::Ended(end.clone());
        commands.push(Command::Finished(end));
    }

    /// Tells everyone who still works that the attempt goes on without them.
    fn withdraw_all(&self, reason: WithdrawReason, commands: &mut Vec<Command>) {
        let withdraw = |participant: &ParticipantName| Command::Withdraw {
            participant: participant.clone(),
            task: self.task(),
            reason,
        };
        match &self.phase {
            RoundPhase::Training { cohort, .. } => {
                let working = cohort.iter().filter(|(_, member)| matches!(member, Member::Working));
                commands.extend(working.map(|(participant, _)| withdraw(participant)));
            }
            RoundPhase::Unmasking { contributions, out, .. } => {
                let awaited = contributions.keys().filter(|name| !out.contains_key(*name));
                commands.extend(awaited.filter(|name| self.present.contains(*name)).map(withdraw));
            }
            RoundPhase::Gathering { .. } | RoundPhase::Aggregating { .. } | RoundPhase::Ended(_) => {}
        }
    }

    fn record(&mut self, summary: RoundSummary, commands: &mut Vec<Command>) {
        let summary = Arc::new(summary);
        commands.push(Command::RoundEnded(Arc::clone(&summary)));
        self.history.push(summary);
    }

    fn summary(&self, outcome: Result<Digest, AbandonReason>, now: Timestamp) -> RoundSummary {
        let none = BTreeMap::new();
        let (began, cohort_size, contributions) = match &self.phase {
            RoundPhase::Training { began, cohort, .. } => (*began, cohort.len(), &none),
            RoundPhase::Unmasking { began, cohort_size, contributions, .. }
            | RoundPhase::Aggregating { began, cohort_size, contributions, .. } => {
                (*began, *cohort_size, contributions)
            }
            RoundPhase::Gathering { .. } | RoundPhase::Ended(_) => (now, 0, &none),
        };
        let counted = if outcome.is_ok() { contributions } else { &none };
        RoundSummary {
            round: self.round,
            attempt: self.attempt,
            began,
            ended: now,
            cohort_size,
            contributors: counted.keys().cloned().collect(),
            examples: reports(counted).map(|(examples, _)| u64::from(examples)).sum(),
            metrics: Metrics::weighted_mean(reports(counted)),
            outcome,
        }
    }

    /// Asks to be woken when time alone changes something: the deadline, or the end of someone's patience.
    fn wake(&self, now: Timestamp, commands: &mut Vec<Command>) {
        match &self.phase {
            RoundPhase::Training { deadline, cohort, .. } => {
                let expiry = cohort.values().filter_map(|member| match member {
                    Member::Absent { since } => Some(since.after(self.plan.timeouts.absence)),
                    _ => None,
                });
                let silence = self.silence_ends();
                commands.push(Command::WakeAt(expiry.chain(silence).fold(*deadline, Ord::min)));
            }
            RoundPhase::Unmasking { .. } => commands.extend(self.silence_ends().map(Command::WakeAt)),
            RoundPhase::Gathering { not_before } if now < *not_before => {
                commands.push(Command::WakeAt(*not_before))
            }
            RoundPhase::Gathering { .. } | RoundPhase::Aggregating { .. } | RoundPhase::Ended(_) => {}
        }
    }
}

/// What participants report beside updates that can be read.
fn reports(
    contributions: &BTreeMap<ParticipantName, Receipt>,
) -> impl Iterator<Item = (ExampleCount, &Metrics)> + Clone {
    contributions.values().filter_map(|receipt| match &receipt.kind {
        UpdateKind::Open { examples, metrics, .. } => Some((*examples, metrics)),
        UpdateKind::Masked => None,
    })
}
