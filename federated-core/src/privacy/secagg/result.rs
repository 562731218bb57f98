use std::{collections::BTreeSet, sync::Arc};

use super::{GroupSum, KeyError, Signature, SigningSecret, VerifyingPublic, message::append_text};
use crate::ids::{Digest, Fingerprint, ParticipantName, TaskId};

/// What came of a session: whose updates were summed, to what, and the model that was made with it.
///
/// Whoever was in the session knows the task, the session and whose updates were to be summed; the sum and the model are the
/// coordinator's word. Signed, it cannot give one participant another word than the next without leaving proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumResult {
    /// The attempt.
    pub task: TaskId,
    /// Which session, and which sum of whose updates.
    pub group: Arc<GroupSum>,
    /// The model that the attempt gave.
    pub model: Digest,
}

impl SumResult {
    /// The bytes that are signed. Integers are little-endian; texts have their length (u32) in front.
    ///
    /// `"flsa/v1 result\n"`, job, round (u32), attempt (u32), session (32 bytes), how many survived (u32), their names in
    /// order, sum (32 bytes), model (32 bytes).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { task, group, model } = self;
        let mut bytes = b"flsa/v1 result\n".to_vec();
        append_text(&mut bytes, task.job.as_str());
        bytes.extend_from_slice(&task.round.get().to_le_bytes());
        bytes.extend_from_slice(&task.attempt.to_le_bytes());
        bytes.extend_from_slice(group.session.as_bytes());
        let count = u32::try_from(group.survivors.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_le_bytes());
        group.survivors.iter().for_each(|name| append_text(&mut bytes, name.as_str()));
        bytes.extend_from_slice(group.sum.as_bytes());
        bytes.extend_from_slice(model.as_bytes());
        bytes
    }

    /// The SHA-256 of its bytes.
    #[must_use]
    pub fn hash(&self) -> Fingerprint {
        Fingerprint::of(&self.to_bytes())
    }

    /// The same with the signature of whoever says so.
    #[must_use]
    pub fn sign(self, key: &SigningSecret) -> SignedResult {
        let signature = key.sign(&self.to_bytes());
        SignedResult { result: self, signature }
    }

    /// Whose updates were summed.
    #[must_use]
    pub fn survivors(&self) -> &BTreeSet<ParticipantName> {
        &self.group.survivors
    }
}

/// What came of a session, with the coordinator's signature: evidence for whoever knows its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedResult {
    /// What is signed.
    pub result: SumResult,
    /// By the coordinator's long-lived key.
    pub signature: Signature,
}

impl SignedResult {
    /// Checks that the holder of this key said so.
    ///
    /// # Errors
    /// [`KeyError::Signature`] when it did not.
    pub fn verify(&self, key: &VerifyingPublic) -> Result<(), KeyError> {
        key.verify(&self.result.to_bytes(), &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;
    use crate::{ids::RoundNumber, privacy::secagg::SessionId};

    fn result(survivors: &[&str]) -> SumResult {
        let task = TaskId { job: "heart".parse().unwrap(), round: RoundNumber::new(3).unwrap(), attempt: 2 };
        let survivors = survivors.iter().map(|name| name.parse().unwrap()).collect();
        let (session, sum) = (SessionId::from([1; 32]), Fingerprint::from([2; 32]));
        let group = Arc::new(GroupSum { session, survivors, sum });
        SumResult { task, group, model: Digest::from([3; 32]) }
    }

    fn key(seed: u8) -> SigningSecret {
        SigningSecret::from_seed(Zeroizing::new([seed; 32]))
    }

    /// The expected bytes are written out by hand, from the layout in the documentation.
    #[test]
    fn the_bytes_that_are_signed_are_those_of_the_documentation() {
        let expected = [
            b"flsa/v1 result\n\x05\0\0\0heart\x03\0\0\0\x02\0\0\0".as_slice(),
            &[1; 32],
            b"\x02\0\0\0\x01\0\0\0a\x02\0\0\0bc",
            &[2; 32],
            &[3; 32],
        ];
        assert_eq!(result(&["bc", "a"]).to_bytes(), expected.concat());
    }

    #[test]
    fn a_result_holds_for_the_key_that_signed_it_and_no_other() {
        let signed = result(&["a", "b", "c"]).sign(&key(7));
        signed.verify(&key(7).public()).unwrap();
        assert_eq!(signed.verify(&key(8).public()), Err(KeyError::Signature { key: key(8).public() }));
    }

    #[test]
    fn names_cannot_be_cut_in_another_way() {
        assert_ne!(result(&["ab", "c"]).to_bytes(), result(&["a", "bc"]).to_bytes());
    }

    #[test]
    fn whatever_is_said_otherwise_is_not_signed() {
        let signed = result(&["a", "b", "c"]).sign(&key(7));
        let group = GroupSum::clone(&signed.result.group);
        let mut others = vec![SumResult { model: Digest::from([4; 32]), ..signed.result.clone() }];
        for group in [
            GroupSum { session: SessionId::from([9; 32]), ..group.clone() },
            GroupSum { sum: Fingerprint::from([9; 32]), ..group.clone() },
            GroupSum { survivors: result(&["a", "b"]).group.survivors.clone(), ..group.clone() },
        ] {
            others.push(SumResult { group: Arc::new(group), ..signed.result.clone() });
        }
        for task in [
            TaskId { job: "hearts".parse().unwrap(), ..signed.result.task.clone() },
            TaskId { round: RoundNumber::FIRST, ..signed.result.task.clone() },
            TaskId { attempt: 1, ..signed.result.task.clone() },
        ] {
            others.push(SumResult { task, ..signed.result.clone() });
        }
        for result in others {
            let forged = SignedResult { result, signature: signed.signature };
            assert!(forged.verify(&key(7).public()).is_err(), "{forged:?}");
        }
    }

    proptest! {
        #[test]
        fn a_signature_with_any_bit_flipped_fails(place in 0_usize..64, bit in 0_u32..8) {
            let mut signed = result(&["a", "b", "c"]).sign(&key(7));
            let mut bytes = *signed.signature.as_bytes();
            bytes[place] ^= 1 << bit;
            signed.signature = bytes.into();
            prop_assert!(signed.verify(&key(7).public()).is_err());
        }

        #[test]
        fn a_message_with_any_bit_flipped_fails(place in any::<prop::sample::Index>(), bit in 0_u32..8) {
            let signed = result(&["a", "b", "c"]).sign(&key(7));
            let mut bytes = signed.result.to_bytes();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert!(key(7).public().verify(&bytes, &signed.signature).is_err());
        }
    }
}
