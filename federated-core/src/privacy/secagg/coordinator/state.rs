use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{SessionError, UnmaskError, Unmasking};
use crate::{
    ids::ParticipantName,
    privacy::secagg::{
        AdvertiseKeys, Cohort, CoordinatorMessage, CoordinatorProtocol, Delivery, Header, Index,
        ParticipantMessage, PinnedRoster, Roster, SessionId, ShareKeys, Signature, Signatures, Stage,
        Survivors, Terms, Unmask,
    },
};

/// What may happen with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageAdmission {
    /// It is awaited.
    Welcome,
    /// It, or another by this participant in this or an earlier stage, is there: nothing changes.
    Duplicate,
}

/// The coordinator's side of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct CoordinatorSession {
    pub(super) header: Header,
    pub(super) state: State,
}

/// What each stage has collected. Copies share what is large.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Advertise {
        received: BTreeMap<ParticipantName, AdvertiseKeys>,
    },
    Share {
        cohort: Arc<Cohort>,
        received: BTreeMap<Index, Arc<ShareKeys>>,
    },
    Mask {
        cohort: Arc<Cohort>,
        sealed: Arc<BTreeMap<Index, Arc<ShareKeys>>>,
    },
    Agree {
        cohort: Arc<Cohort>,
        shared: Arc<BTreeSet<Index>>,
        survivors: Arc<BTreeSet<Index>>,
        signatures: BTreeMap<Index, Signature>,
    },
    Unmask {
        cohort: Arc<Cohort>,
        shared: Arc<BTreeSet<Index>>,
        survivors: Arc<BTreeSet<Index>>,
        signatures: Arc<BTreeMap<Index, Signature>>,
        revealed: BTreeMap<Index, Arc<Unmask>>,
    },
}

impl CoordinatorSession {
    /// A session in which nobody has said anything.
    #[must_use]
    pub const fn new(header: Header) -> Self {
        Self { header, state: State::Advertise { received: BTreeMap::new() } }
    }

    /// What everyone agrees on.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Who takes part, once that is settled.
    #[must_use]
    pub fn cohort(&self) -> Option<&Cohort> {
        match &self.state {
            State::Advertise { .. } => None,
            State::Share { cohort, .. }
            | State::Mask { cohort, .. }
            | State::Agree { cohort, .. }
            | State::Unmask { cohort, .. } => Some(cohort),
        }
    }

    fn message(&self, name: &ParticipantName) -> Option<CoordinatorMessage> {
        if !self.concerns(name) {
            return None;
        }
        let me = self.cohort().and_then(|cohort| cohort.index(name));
        match &self.state {
            State::Advertise { .. } => None,
            State::Share { cohort, .. } => Some(CoordinatorMessage::Roster(cohort.roster())),
            State::Mask { sealed, .. } => {
                let to_me =
                    |(from, shares): (&Index, &Arc<ShareKeys>)| Some((*from, shares.0.get(&me?)?.clone()));
                let shares = sealed.iter().filter_map(to_me).collect();
                Some(CoordinatorMessage::Delivery(Delivery {
                    shared: sealed.keys().copied().collect(),
                    shares,
                }))
            }
            State::Agree { survivors, .. } => {
                Some(CoordinatorMessage::Survivors(Survivors(survivors.as_ref().clone())))
            }
            State::Unmask { signatures, .. } => {
                Some(CoordinatorMessage::Signatures(Signatures(signatures.as_ref().clone())))
            }
        }
    }
}

impl CoordinatorProtocol for CoordinatorSession {
    fn stage(&self) -> Stage {
        match self.state {
            State::Advertise { .. } => Stage::AdvertiseKeys,
            State::Share { .. } => Stage::ShareKeys,
            State::Mask { .. } => Stage::MaskedInput,
            State::Agree { .. } => Stage::Consistency,
            State::Unmask { .. } => Stage::Unmask,
        }
    }

    fn id(&self) -> Option<SessionId> {
        self.cohort().map(|cohort| cohort.id)
    }

    fn concerns(&self, name: &ParticipantName) -> bool {
        let index = self.cohort().and_then(|cohort| cohort.index(name));
        match (&self.state, index) {
            (State::Advertise { .. }, _) => true,
            (_, None) => false,
            (State::Share { .. }, Some(_)) => true,
            (State::Mask { sealed, .. }, Some(index)) => sealed.contains_key(&index),
            (State::Agree { survivors, .. } | State::Unmask { survivors, .. }, Some(index)) => {
                survivors.contains(&index)
            }
        }
    }

    fn has_answered(&self, name: &ParticipantName) -> bool {
        let index = self.cohort().and_then(|cohort| cohort.index(name));
        match (&self.state, index) {
            (State::Advertise { received }, _) => received.contains_key(name),
            (_, None) | (State::Mask { .. }, _) => false,
            (State::Share { received, .. }, Some(index)) => received.contains_key(&index),
            (State::Agree { signatures, .. }, Some(index)) => signatures.contains_key(&index),
            (State::Unmask { revealed, .. }, Some(index)) => revealed.contains_key(&index),
        }
    }

    // Whoever was away when enough others had signed is told of the survivors first: it checks them before it reveals
    // anything.
    fn messages(&self, name: &ParticipantName) -> Vec<CoordinatorMessage> {
        let missed = match &self.state {
            State::Unmask { cohort, survivors, signatures, .. } => cohort
                .index(name)
                .filter(|index| survivors.contains(index) && !signatures.contains_key(index))
                .map(|_| CoordinatorMessage::Survivors(Survivors(survivors.as_ref().clone()))),
            _ => None,
        };
        missed.into_iter().chain(self.message(name)).collect()
    }

    fn admit(
        &self,
        from: &ParticipantName,
        message: &ParticipantMessage,
        roster: Option<&PinnedRoster>,
    ) -> Result<MessageAdmission, SessionError> {
        self.check(from, message, roster)
    }

    fn receive(&mut self, from: &ParticipantName, message: ParticipantMessage) {
        let index = self.cohort().and_then(|cohort| cohort.index(from));
        match (&mut self.state, message, index) {
            (State::Advertise { received }, ParticipantMessage::AdvertiseKeys(keys), _) => {
                received.entry(from.clone()).or_insert(keys);
            }
            (State::Share { received, .. }, ParticipantMessage::ShareKeys(shares), Some(index)) => {
                received.entry(index).or_insert_with(|| Arc::new(shares));
            }
            (State::Agree { signatures, .. }, ParticipantMessage::Consistency(signed), Some(index)) => {
                signatures.entry(index).or_insert(signed.0);
            }
            (State::Unmask { revealed, .. }, ParticipantMessage::Unmask(shares), Some(index)) => {
                revealed.entry(index).or_insert_with(|| Arc::new(shares));
            }
            _ => {}
        }
    }

    fn needed(&self) -> (u32, u32) {
        let terms = &self.header.terms;
        let (found, least) = match &self.state {
            State::Advertise { received } => (received.len(), terms.min_cohort()),
            State::Share { cohort, received } => (received.len(), least_survivors(terms, cohort)),
            State::Mask { cohort, .. } => (0, least_survivors(terms, cohort)),
            State::Agree { cohort, signatures, .. } => (signatures.len(), cohort.parameters.quorum()),
            State::Unmask { cohort, revealed, .. } => {
                (revealed.len(), u32::from(cohort.parameters.threshold()))
            }
        };
        (u32::try_from(found).unwrap_or(u32::MAX), least)
    }

    fn least_vectors(&self) -> u32 {
        let terms = &self.header.terms;
        self.cohort().map_or(terms.min_survivors(), |cohort| least_survivors(terms, cohort))
    }

    fn close(self, vectors: &BTreeSet<ParticipantName>) -> Result<Self, SessionError> {
        let stage = self.stage();
        let (mut found, least) = self.needed();
        let Self { header, state } = self;
        let state = match state {
            State::Advertise { received } if found >= least => {
                let cohort = Cohort::new(&header.to_bytes(), &header.terms, &Roster(received))?;
                State::Share { cohort: Arc::new(cohort), received: BTreeMap::new() }
            }
            State::Share { cohort, received } if found >= least => {
                State::Mask { cohort, sealed: Arc::new(received) }
            }
            State::Mask { cohort, sealed } => {
                let indices = vectors.iter().filter_map(|name| cohort.index(name));
                let survivors: BTreeSet<Index> = indices.filter(|index| sealed.contains_key(index)).collect();
                found = u32::try_from(survivors.len()).unwrap_or(u32::MAX);
                if found < least {
                    return Err(SessionError::TooFew { stage, least, found });
                }
                let shared = Arc::new(sealed.keys().copied().collect());
                let survivors = Arc::new(survivors);
                State::Agree { cohort, shared, survivors, signatures: BTreeMap::new() }
            }
            State::Agree { cohort, shared, survivors, signatures } if found >= least => {
                let signatures = Arc::new(signatures);
                State::Unmask { cohort, shared, survivors, signatures, revealed: BTreeMap::new() }
            }
            _ => return Err(SessionError::TooFew { stage, least, found }),
        };
        Ok(Self { header, state })
    }

    fn survivors(&self) -> BTreeSet<ParticipantName> {
        match &self.state {
            State::Agree { cohort, survivors, .. } | State::Unmask { cohort, survivors, .. } => {
                survivors.iter().filter_map(|index| cohort.name(*index).cloned()).collect()
            }
            State::Advertise { .. } | State::Share { .. } | State::Mask { .. } => BTreeSet::new(),
        }
    }

    fn unmasking(&self) -> Result<Unmasking, UnmaskError> {
        self.reveal()
    }
}

/// Fewer vectors than this are not unmasked by anybody: they must be agreed on by a quorum of those whose they are.
fn least_survivors(terms: &Terms, cohort: &Cohort) -> u32 {
    terms.min_survivors().max(cohort.parameters.quorum())
}
