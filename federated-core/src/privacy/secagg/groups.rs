use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    CoordinatorMessage, CoordinatorProtocol, CoordinatorSession, MessageAdmission, ParticipantMessage,
    PinnedRoster, SessionError, SessionId, Stage,
};
use crate::ids::{Fingerprint, ParticipantName, TaskId, derive};

/// In how many groups a cohort is summed, each by itself, and how many of their sums are enough.
///
/// One group is plain secure aggregation. With several, each sum is of fewer participants, and a rule that withstands liars
/// can combine them: a participant that lies moves the mean of its own group alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grouping {
    groups: NonZeroU32,
    least: NonZeroU32,
}

impl Grouping {
    /// Everyone in one sum.
    pub const WHOLE: Self = Self { groups: NonZeroU32::MIN, least: NonZeroU32::MIN };

    /// `groups` groups, of whose sums at least `least` are needed; at most all of them.
    #[must_use]
    pub fn new(groups: NonZeroU32, least: NonZeroU32) -> Self {
        Self { groups, least: least.min(groups) }
    }

    /// How many groups.
    #[must_use]
    pub const fn groups(&self) -> NonZeroU32 {
        self.groups
    }

    /// How many sums are enough.
    #[must_use]
    pub const fn least(&self) -> NonZeroU32 {
        self.least
    }

    /// Who is in which group, from 0. The sizes differ by one at most.
    ///
    /// Each participant draws a ticket, the SHA-256 of seed, task and name, and they are dealt out in the order of the
    /// tickets: nobody chooses whom it is with, and anyone with the seed can check it.
    #[must_use]
    pub fn divide(
        &self,
        seed: u64,
        task: &TaskId,
        cohort: &BTreeSet<ParticipantName>,
    ) -> BTreeMap<ParticipantName, u32> {
        let ticket = |name| *derive(b"federated.groups.v1\n", seed, task, name).as_bytes();
        let mut tickets: Vec<_> = cohort.iter().map(|name| (ticket(name), name)).collect();
        tickets.sort_unstable();
        tickets
            .into_iter()
            .zip((0..self.groups.get()).cycle())
            .map(|((_, name), place)| (name.clone(), place))
            .collect()
    }
}

/// The sessions of an attempt: one for each group, all at the same stage.
///
/// A group that can no longer be summed is lost, and the others go on as long as enough are left.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups<S = CoordinatorSession> {
    groups: Vec<Group<S>>,
    places: Arc<BTreeMap<ParticipantName, u32>>,
    least: NonZeroU32,
}

#[derive(Clone, Debug, PartialEq)]
enum Group<S> {
    Open(S),
    Lost(SessionError),
}

/// One sum that was unmasked: what anyone who was in it can check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSum {
    /// In which session.
    pub session: SessionId,
    /// Whose updates it is of.
    pub survivors: BTreeSet<ParticipantName>,
    /// SHA-256 of the sum without masks, as elements in their wire form.
    pub sum: Fingerprint,
}

impl<S: CoordinatorProtocol> Groups<S> {
    /// A `session` in which nobody has said anything for each group of `places`.
    #[must_use]
    pub fn new(session: &S, grouping: Grouping, places: BTreeMap<ParticipantName, u32>) -> Self {
        let groups = (0..grouping.groups.get()).map(|_| Group::Open(session.clone())).collect();
        Self { groups, places: Arc::new(places), least: grouping.least }
    }

    /// The sessions of the groups that are not lost.
    pub fn open(&self) -> impl Iterator<Item = &S> {
        self.groups.iter().filter_map(Group::open)
    }

    /// How many sums are enough.
    #[must_use]
    pub const fn least(&self) -> NonZeroU32 {
        self.least
    }

    /// Where the sessions are.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.open().map(S::stage).next().unwrap_or(Stage::Unmask)
    }

    fn group(&self, name: &ParticipantName) -> Option<&Group<S>> {
        self.groups.get(usize::try_from(*self.places.get(name)?).ok()?)
    }

    fn session(&self, name: &ParticipantName) -> Option<&S> {
        self.group(name)?.open()
    }

    /// Why this participant's group cannot be summed, if that is so.
    #[must_use]
    pub fn lost(&self, name: &ParticipantName) -> Option<&SessionError> {
        match self.group(name)? {
            Group::Open(_) => None,
            Group::Lost(reason) => Some(reason),
        }
    }

    /// Whether the stage is about this participant.
    #[must_use]
    pub fn concerns(&self, name: &ParticipantName) -> bool {
        self.session(name).is_some_and(|session| session.concerns(name))
    }

    /// Whether this participant's message of the stage is there.
    #[must_use]
    pub fn has_answered(&self, name: &ParticipantName) -> bool {
        self.session(name).is_some_and(|session| session.has_answered(name))
    }

    /// What this participant is told in this stage, in this order.
    #[must_use]
    pub fn messages(&self, name: &ParticipantName) -> Vec<CoordinatorMessage> {
        self.session(name).map(|session| session.messages(name)).unwrap_or_default()
    }

    /// Whether a message is wanted: see [`CoordinatorProtocol::admit`].
    ///
    /// # Errors
    /// [`SessionError`] when it is not, or cannot be used.
    pub fn admit(
        &self,
        from: &ParticipantName,
        message: &ParticipantMessage,
        roster: Option<&PinnedRoster>,
    ) -> Result<MessageAdmission, SessionError> {
        match self.group(from) {
            Some(Group::Open(session)) => session.admit(from, message, roster),
            Some(Group::Lost(reason)) => Err(SessionError::GroupLost { reason: Box::new(reason.clone()) }),
            None => Err(SessionError::NotConcerned { stage: self.stage() }),
        }
    }

    /// Keeps a message that [`admit`](Self::admit) has welcomed; any other changes nothing.
    pub fn receive(&mut self, from: &ParticipantName, message: ParticipantMessage) {
        let place = self.places.get(from).and_then(|place| usize::try_from(*place).ok());
        if let Some(Group::Open(session)) = place.and_then(|place| self.groups.get_mut(place)) {
            session.receive(from, message);
        }
    }

    /// How many have answered, and how many must have, in the group that lacks the most.
    #[must_use]
    pub fn needed(&self) -> (u32, u32) {
        let lacks = |(found, least): &(u32, u32)| least.saturating_sub(*found);
        self.open().map(S::needed).max_by_key(lacks).unwrap_or((0, 0))
    }

    /// Whether in every group enough have answered for it to go on.
    #[must_use]
    pub fn have_enough(&self) -> bool {
        self.open().map(S::needed).all(|(found, least)| found >= least)
    }

    /// How many groups could be summed if the vectors of these were in, and how many could not.
    pub fn summable<'a>(&self, vectors: impl IntoIterator<Item = &'a ParticipantName>) -> (usize, usize) {
        let mut found = vec![0_u32; self.groups.len()];
        for name in vectors.into_iter().filter(|name| self.concerns(name)) {
            let place = self.places.get(name).and_then(|place| usize::try_from(*place).ok());
            if let Some(found) = place.and_then(|place| found.get_mut(place)) {
                *found += 1;
            }
        }
        let enough = |(group, found): (&Group<S>, &u32)| Some(*found >= group.open()?.least_vectors());
        let (can, cannot): (Vec<bool>, Vec<bool>) =
            self.groups.iter().zip(&found).filter_map(enough).partition(|enough| *enough);
        (can.len(), cannot.len())
    }

    /// Goes on to the next stage in every group that can: see [`CoordinatorProtocol::close`].
    ///
    /// # Errors
    /// [`SessionError`] when too few groups are left.
    pub fn close(&self, vectors: &BTreeSet<ParticipantName>) -> Result<Self, SessionError> {
        self.go_on(|session| session.clone().close(vectors))
    }

    /// Loses the groups in which too few have answered.
    ///
    /// # Errors
    /// [`SessionError`] when too few groups are left.
    pub fn settle(&self) -> Result<Self, SessionError> {
        self.go_on(|session| match (session.needed(), session.stage()) {
            ((found, least), stage) if found < least => Err(SessionError::TooFew { stage, least, found }),
            _ => Ok(session.clone()),
        })
    }

    fn go_on(&self, next: impl Fn(&S) -> Result<S, SessionError>) -> Result<Self, SessionError> {
        let next = |group: &Group<S>| match group {
            Group::Open(session) => next(session).map_or_else(Group::Lost, Group::Open),
            Group::Lost(reason) => Group::Lost(reason.clone()),
        };
        let groups: Vec<Group<S>> = self.groups.iter().map(next).collect();
        let (least, found) = (self.least.get(), groups.iter().filter_map(Group::open).count());
        if found as u64 >= u64::from(least) {
            return Ok(Self { groups, places: Arc::clone(&self.places), least: self.least });
        }
        let lost = groups.into_iter().filter_map(|group| match group {
            Group::Open(_) => None,
            Group::Lost(reason) => Some(reason),
        });
        match lost.last() {
            Some(reason) if self.groups.len() > 1 => {
                let found = u32::try_from(found).unwrap_or(u32::MAX);
                Err(SessionError::TooFewGroups { least, found, reason: Box::new(reason) })
            }
            Some(reason) => Err(reason),
            // There is at least one group, and at least one is needed.
            None => Err(SessionError::NotConcerned { stage: self.stage() }),
        }
    }
}

impl<S> Group<S> {
    const fn open(&self) -> Option<&S> {
        match self {
            Self::Open(session) => Some(session),
            Self::Lost(_) => None,
        }
    }
}
