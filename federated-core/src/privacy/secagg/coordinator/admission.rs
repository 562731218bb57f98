use std::collections::BTreeSet;

use super::{CoordinatorSession, MessageAdmission, SessionError, state::State};
use crate::{
    ids::{Fingerprint, ParticipantName},
    privacy::secagg::{
        AdvertiseKeys, Consistency, CoordinatorProtocol as _, Index, ParticipantMessage, PinnedRoster,
        Unmask, transcript,
    },
};

impl CoordinatorSession {
    pub(super) fn check(
        &self,
        from: &ParticipantName,
        message: &ParticipantMessage,
        roster: Option<&PinnedRoster>,
    ) -> Result<MessageAdmission, SessionError> {
        let (expected, found) = (self.stage(), message.stage());
        if !self.concerns(from) {
            return Err(SessionError::NotConcerned { stage: expected });
        }
        if found > expected {
            return Err(SessionError::Stage { expected, found });
        }
        if found < expected {
            return Ok(MessageAdmission::Duplicate);
        }
        if self.has_answered(from) {
            let same = self.answer(from).as_ref() == Some(message);
            return if same {
                Ok(MessageAdmission::Duplicate)
            } else {
                Err(SessionError::Conflict { stage: found })
            };
        }
        match message {
            ParticipantMessage::AdvertiseKeys(keys) => self.check_keys(from, keys, roster)?,
            ParticipantMessage::ShareKeys(shares) => {
                self.check_indices(from, shares.0.keys().copied().collect(), |_| true)?;
            }
            ParticipantMessage::Consistency(signed) => {
                let key = roster.map(|roster| roster.key(from).ok_or(SessionError::Signature)).transpose()?;
                if let (Some(key), Some(transcript)) = (key, self.transcript())
                    && key.verify(transcript.as_bytes(), &signed.0).is_err()
                {
                    return Err(SessionError::Signature);
                }
            }
            ParticipantMessage::Unmask(shares) => self.check_unmask(from, shares)?,
        }
        Ok(MessageAdmission::Welcome)
    }

    /// What this participant has answered in this stage.
    fn answer(&self, from: &ParticipantName) -> Option<ParticipantMessage> {
        let index = || self.cohort()?.index(from);
        match &self.state {
            State::Advertise { received } => {
                received.get(from).cloned().map(ParticipantMessage::AdvertiseKeys)
            }
            State::Share { received, .. } => {
                Some(ParticipantMessage::ShareKeys(received.get(&index()?)?.as_ref().clone()))
            }
            State::Mask { .. } => None,
            State::Agree { signatures, .. } => {
                let signature = *signatures.get(&index()?)?;
                Some(ParticipantMessage::Consistency(Consistency(signature)))
            }
            State::Unmask { revealed, .. } => {
                Some(ParticipantMessage::Unmask(revealed.get(&index()?)?.as_ref().clone()))
            }
        }
    }

    fn check_keys(
        &self,
        from: &ParticipantName,
        keys: &AdvertiseKeys,
        roster: Option<&PinnedRoster>,
    ) -> Result<(), SessionError> {
        let State::Advertise { received } = &self.state else { return Ok(()) };
        if keys.seal == keys.mask {
            return Err(SessionError::Keys { found: "one key twice" });
        }
        if !(keys.seal.is_contributory() && keys.mask.is_contributory()) {
            return Err(SessionError::Keys { found: "a point of low order" });
        }
        let mine = [keys.seal, keys.mask];
        if received.values().any(|other| mine.contains(&other.seal) || mine.contains(&other.mask)) {
            return Err(SessionError::Keys { found: "a key of another participant" });
        }
        let Some(roster) = roster else { return Ok(()) };
        let key = roster.key(from).ok_or(SessionError::Signature)?;
        let hash = self.header.hash();
        let signed = AdvertiseKeys::signed_bytes(from, &keys.seal, &keys.mask, &keys.commitment, &hash);
        key.verify(&signed, &keys.signature).map_err(|_| SessionError::Signature)
    }

    /// That these are the sender's neighbours, of which `among` holds.
    fn check_indices(
        &self,
        from: &ParticipantName,
        found: BTreeSet<Index>,
        among: impl Fn(Index) -> bool,
    ) -> Result<(), SessionError> {
        let Some((cohort, me)) = self.cohort().and_then(|cohort| Some((cohort, cohort.index(from)?))) else {
            return Ok(());
        };
        let expected: BTreeSet<Index> = cohort.graph.neighbours(me).filter(|index| among(*index)).collect();
        if found == expected {
            Ok(())
        } else {
            Err(SessionError::Shares { expected: expected.len(), found: found.len() })
        }
    }

    /// One share of each who holds one for the sender: never both of one participant.
    fn check_unmask(&self, from: &ParticipantName, shares: &Unmask) -> Result<(), SessionError> {
        let State::Unmask { cohort, shared, survivors, .. } = &self.state else { return Ok(()) };
        let me = cohort.index(from);
        // On the complete graph everyone holds a share of its own.
        let holds_own = me.is_some_and(|me| cohort.graph.share_x(me, me).is_some());
        let mut of_survivors: BTreeSet<Index> = shares.self_masks.keys().copied().collect();
        if holds_own && !me.is_some_and(|me| of_survivors.remove(&me)) {
            return Err(SessionError::Shares { expected: 1, found: 0 });
        }
        self.check_indices(from, of_survivors, |index| survivors.contains(&index))?;
        let of_dropped = shares.mask_secrets.keys().copied().collect();
        self.check_indices(from, of_dropped, |index| shared.contains(&index) && !survivors.contains(&index))
    }

    /// What is signed in Consistency.
    #[must_use]
    pub fn transcript(&self) -> Option<Fingerprint> {
        match &self.state {
            State::Agree { cohort, shared, survivors, .. }
            | State::Unmask { cohort, shared, survivors, .. } => {
                Some(transcript(&cohort.id, cohort.len(), shared, survivors))
            }
            State::Advertise { .. } | State::Share { .. } | State::Mask { .. } => None,
        }
    }
}
