//! What a protocol has to offer for a round to sum vectors with it: one trait for each side.
//!
//! The round machine, the groups and the client hold sessions by these traits' methods only. A second protocol is a second
//! pair of implementations, with its own kinds of messages.

use std::{collections::BTreeSet, fmt};

use rand_chacha::rand_core::CryptoRng;

use super::{
    CoordinatorMessage, Mask, MessageAdmission, ParticipantError, ParticipantMessage, PinnedRoster, Reply,
    SessionError, SessionId, Stage, UnmaskError, Unmasking,
};
use crate::ids::ParticipantName;

/// The coordinator's side of one session, as plain data that the messages it received give.
///
/// # Laws
/// A session that received the same messages and was closed at the same moments is equal, so that one replayed from a log goes
/// on where it was. Nothing it is told makes it panic. [`receive`](Self::receive) of a message that
/// [`admit`](Self::admit) did not welcome changes nothing.
pub trait CoordinatorProtocol: Clone + fmt::Debug + PartialEq {
    /// Where the session is.
    fn stage(&self) -> Stage;

    /// What tells this session from all others, once it is settled who takes part.
    fn id(&self) -> Option<SessionId>;

    /// Whether the stage is about this participant.
    fn concerns(&self, name: &ParticipantName) -> bool;

    /// Whether this participant's message of the stage is there. In MaskedInput there is none.
    fn has_answered(&self, name: &ParticipantName) -> bool;

    /// What this participant is told in this stage, in this order; of AdvertiseKeys its task tells it.
    fn messages(&self, name: &ParticipantName) -> Vec<CoordinatorMessage>;

    /// Whether a message is wanted. `roster`, where the coordinator has one, is what signatures are checked against: so
    /// that one participant with a wrong key fails alone, and not everyone who would find it in the roster.
    ///
    /// # Errors
    /// [`SessionError`] when it is not, or cannot be used.
    fn admit(
        &self,
        from: &ParticipantName,
        message: &ParticipantMessage,
        roster: Option<&PinnedRoster>,
    ) -> Result<MessageAdmission, SessionError>;

    /// Keeps a message that [`admit`](Self::admit) has welcomed.
    fn receive(&mut self, from: &ParticipantName, message: ParticipantMessage);

    /// How many have answered in this stage, and how many must have for the session to go on. In MaskedInput nobody answers
    /// with a message: then it is how many vectors must be in.
    fn needed(&self) -> (u32, u32);

    /// The fewest vectors whose sum can be unmasked, as far as it is known.
    fn least_vectors(&self) -> u32;

    /// Goes on to the next stage with those who have answered. In MaskedInput, `vectors` are those whose vectors are in;
    /// other stages do not look at them. After Unmask there is none.
    ///
    /// # Errors
    /// [`SessionError`] when they are too few.
    fn close(self, vectors: &BTreeSet<ParticipantName>) -> Result<Self, SessionError>;

    /// Whose vectors are summed, once that is settled.
    fn survivors(&self) -> BTreeSet<ParticipantName>;

    /// What leaves the sum of the survivors' inputs, once the last stage has enough answers.
    ///
    /// # Errors
    /// [`UnmaskError`] when what was sent is too little or wrong.
    fn unmasking(&self) -> Result<Unmasking, UnmaskError>;
}

/// A participant's side of one session.
///
/// # Laws
/// Messages may come twice, since connections break: the answer is then the same again. After an error nothing is revealed
/// any more, whatever comes.
pub trait ParticipantProtocol: fmt::Debug {
    /// What was sent last, to be sent again after a broken connection.
    fn sent(&self) -> Option<&ParticipantMessage>;

    /// Takes what the coordinator says.
    ///
    /// # Errors
    /// [`ParticipantError`]: the session is over.
    fn handle(
        &mut self,
        message: CoordinatorMessage,
        entropy: &mut dyn CryptoRng,
    ) -> Result<Reply, ParticipantError>;

    /// What tells this session from all others, from when the update can be masked until the unmasking.
    fn id(&self) -> Option<SessionId>;

    /// Whose vectors are summed, while this participant has signed that and has not unmasked.
    fn survivors(&self) -> BTreeSet<ParticipantName>;

    /// What to mask the update with, once. The secrets are gone with that.
    ///
    /// # Errors
    /// [`ParticipantError`] when it is not yet time, or was done before.
    fn masks(&mut self) -> Result<Vec<Mask>, ParticipantError>;
}
