use std::collections::BTreeSet;

use rand_chacha::rand_core::CryptoRng;

use super::{AdvertisedKeys, Masked, ParticipantError, ReadyToMask, SharedKeys, Signed};
use crate::{
    ids::ParticipantName,
    privacy::secagg::{
        AdvertiseKeys, Cohort, Consistency, CoordinatorMessage, Delivery, Mask, ParticipantMessage,
        ParticipantProtocol, Roster, SessionId, Signatures, Stage, Survivors,
    },
};

/// What follows from a message.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reply {
    /// Send this. The coordinator may ask for it again.
    Send(ParticipantMessage),
    /// Note durably that this session has signed, and then send this.
    RecordAndSend(Consistency),
    /// The update can be masked: [`ParticipantSession::masks`].
    Mask,
    /// Nothing: it was said before, and what follows from it is on its way.
    Nothing,
}

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
enum State {
    Advertised(AdvertisedKeys),
    Shared(SharedKeys, Roster),
    Ready(ReadyToMask, Delivery),
    Masked(Masked, Delivery),
    Signed(Signed),
    Unmasked(Signatures),
    Over,
}

/// A participant's session at any stage, for whoever holds it between two messages.
///
/// Messages may come twice, since connections break: the answer is then the same again. A message that differs from the one
/// before it of the same kind ends the session.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct ParticipantSession {
    state: State,
    /// What was sent last.
    sent: Option<ParticipantMessage>,
}

impl ParticipantSession {
    /// A session whose keys are out; with what the coordinator is told.
    #[must_use]
    pub fn new(advertised: (AdvertisedKeys, AdvertiseKeys)) -> Self {
        let (state, message) = advertised;
        Self { state: State::Advertised(state), sent: Some(ParticipantMessage::AdvertiseKeys(message)) }
    }

    fn send(&mut self, message: ParticipantMessage) -> Reply {
        self.sent = Some(message.clone());
        Reply::Send(message)
    }

    fn again(&self) -> Reply {
        self.sent.clone().map_or(Reply::Nothing, Reply::Send)
    }
}

impl ParticipantProtocol for ParticipantSession {
    fn sent(&self) -> Option<&ParticipantMessage> {
        self.sent.as_ref()
    }

    fn handle(
        &mut self,
        message: CoordinatorMessage,
        entropy: &mut dyn CryptoRng,
    ) -> Result<Reply, ParticipantError> {
        // Whatever fails below leaves the session over.
        let state = std::mem::replace(&mut self.state, State::Over);
        let (state, reply) = match (state, message) {
            (State::Advertised(advertised), CoordinatorMessage::Roster(roster)) => {
                let (shared, message) = advertised.roster(&roster, entropy)?;
                (State::Shared(shared, roster), self.send(ParticipantMessage::ShareKeys(message)))
            }
            (State::Shared(shared, before), CoordinatorMessage::Roster(roster)) if before == roster => {
                (State::Shared(shared, before), self.again())
            }
            (State::Shared(shared, _), CoordinatorMessage::Delivery(delivery)) => {
                (State::Ready(shared.delivery(&delivery)?, delivery), Reply::Mask)
            }
            (state @ State::Ready(..), CoordinatorMessage::Delivery(delivery)) => same(state, &delivery)?,
            (state @ State::Masked(..), CoordinatorMessage::Delivery(delivery)) => same(state, &delivery)?,
            (State::Masked(masked, _), CoordinatorMessage::Survivors(survivors)) => {
                let (signed, message) = masked.survivors(survivors)?;
                self.sent = Some(ParticipantMessage::Consistency(message.clone()));
                (State::Signed(signed), Reply::RecordAndSend(message))
            }
            (State::Signed(signed), CoordinatorMessage::Survivors(Survivors(survivors))) => {
                if *signed.survivors() != survivors {
                    return Err(ParticipantError::SecondAnnouncement);
                }
                (State::Signed(signed), self.again())
            }
            (State::Signed(signed), CoordinatorMessage::Signatures(signatures)) => {
                let unmask = signed.signatures(&signatures)?;
                (State::Unmasked(signatures), self.send(ParticipantMessage::Unmask(unmask)))
            }
            (State::Unmasked(before), CoordinatorMessage::Signatures(signatures)) if before == signatures => {
                (State::Unmasked(before), self.again())
            }
            (State::Unmasked(_), CoordinatorMessage::Survivors(_)) => {
                return Err(ParticipantError::SecondAnnouncement);
            }
            (State::Over | State::Unmasked(_), _) => return Err(ParticipantError::Over),
            (state, _) => return Err(ParticipantError::Stage { stage: state.stage() }),
        };
        self.state = state;
        Ok(reply)
    }

    fn id(&self) -> Option<SessionId> {
        self.state.cohort().map(|cohort| cohort.id)
    }

    fn survivors(&self) -> BTreeSet<ParticipantName> {
        let State::Signed(signed) = &self.state else { return BTreeSet::new() };
        signed.survivors().iter().filter_map(|index| signed.cohort().name(*index).cloned()).collect()
    }

    fn masks(&mut self) -> Result<Vec<Mask>, ParticipantError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Ready(ready, delivery) => {
                let (masked, masks) = ready.masks()?;
                self.state = State::Masked(masked, delivery);
                self.sent = None;
                Ok(masks)
            }
            State::Over => Err(ParticipantError::Over),
            state => {
                let stage = state.stage();
                self.state = state;
                Err(ParticipantError::Stage { stage })
            }
        }
    }
}

/// The delivery came before.
fn same(state: State, found: &Delivery) -> Result<(State, Reply), ParticipantError> {
    match &state {
        State::Ready(_, before) | State::Masked(_, before) if before == found => Ok((state, Reply::Nothing)),
        _ => Err(ParticipantError::Stage { stage: state.stage() }),
    }
}

impl State {
    fn cohort(&self) -> Option<&Cohort> {
        match self {
            Self::Ready(ready, _) => Some(ready.cohort()),
            Self::Masked(masked, _) => Some(masked.cohort()),
            Self::Signed(signed) => Some(signed.cohort()),
            Self::Advertised(_) | Self::Shared(..) | Self::Unmasked(_) | Self::Over => None,
        }
    }

    const fn stage(&self) -> Stage {
        match self {
            Self::Advertised(_) => Stage::AdvertiseKeys,
            Self::Shared(..) => Stage::ShareKeys,
            Self::Ready(..) | Self::Masked(..) => Stage::MaskedInput,
            Self::Signed(_) => Stage::Consistency,
            Self::Unmasked(_) | Self::Over => Stage::Unmask,
        }
    }
}
