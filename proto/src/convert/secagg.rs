use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use federated_core::{
    ids::ParticipantName,
    privacy::{
        dp::NoiseMultiplier,
        secagg::{
            AdvertiseKeys, AgreementPublic, Commitment, Consistency, CoordinatorMessage, Delivery, Fraction,
            Index, Modulus, ParticipantMessage, RevealedShare, Roster, SealedShares, ShareKeys, Signature,
            Signatures, Survivors, Terms, Unmask, VectorPlan,
        },
    },
    task::SecureTask,
    update::ExampleCount,
};

use super::{range, required};
use crate::{
    WireError,
    v1::{self, answer_session_request::Message as Answer, secure_directive::Message as Told},
};

impl From<&SecureTask> for v1::SecureAggregation {
    fn from(SecureTask { terms, deadline }: &SecureTask) -> Self {
        let vector = terms.vector();
        Self {
            corrupt_millionths: terms.corrupt().millionths(),
            dropout_millionths: terms.dropouts().millionths(),
            min_cohort: terms.min_cohort(),
            max_cohort: terms.max_cohort(),
            min_survivors: terms.min_survivors(),
            modulus_bits: vector.modulus().bits(),
            clip: vector.clip(),
            max_examples: vector.max_examples().get(),
            metrics: vector.metrics().clone(),
            noise_multiplier: vector.noise().map_or(0.0, |noise| noise.multiplier.get()),
            deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl TryFrom<v1::SecureAggregation> for SecureTask {
    type Error = WireError;

    fn try_from(wire: v1::SecureAggregation) -> Result<Self, WireError> {
        let unusable = |error: &dyn std::fmt::Display| {
            range("train.secure_aggregation", "terms that can be safe", error.to_string())
        };
        let fraction = |millionths| Fraction::from_millionths(millionths).map_err(|error| unusable(&error));
        let modulus = Modulus::try_from(wire.modulus_bits).map_err(|error| unusable(&error))?;
        let max_examples = ExampleCount::new(wire.max_examples.into())?;
        let vector = VectorPlan::new(modulus, wire.clip, max_examples, wire.max_cohort, wire.metrics)
            .map_err(|error| unusable(&error))?;
        let (corrupt, dropouts) = (fraction(wire.corrupt_millionths)?, fraction(wire.dropout_millionths)?);
        let cohort = (wire.min_cohort, wire.max_cohort);
        let terms = Terms::new(corrupt, dropouts, cohort, Some(wire.min_survivors), vector)
            .map_err(|error| unusable(&error))?;
        let terms = if wire.noise_multiplier == 0.0 {
            terms
        } else {
            let multiplier = NoiseMultiplier::new(wire.noise_multiplier).map_err(|error| unusable(&error))?;
            terms.noised(multiplier).map_err(|error| unusable(&error))?
        };
        Ok(Self { terms, deadline: Duration::from_millis(wire.deadline_ms) })
    }
}

/// Bytes of a fixed length.
fn fixed<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| range(field, format!("{N} bytes"), bytes.len()))
}

fn copied(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

impl From<&AdvertiseKeys> for v1::AdvertiseKeys {
    fn from(keys: &AdvertiseKeys) -> Self {
        Self {
            seal_key: copied(keys.seal.as_bytes()),
            mask_key: copied(keys.mask.as_bytes()),
            commitment: copied(keys.commitment.as_bytes()),
            signature: copied(keys.signature.as_bytes()),
        }
    }
}

impl TryFrom<v1::AdvertiseKeys> for AdvertiseKeys {
    type Error = WireError;

    fn try_from(wire: v1::AdvertiseKeys) -> Result<Self, WireError> {
        Ok(Self {
            seal: AgreementPublic::from(fixed("seal_key", &wire.seal_key)?),
            mask: AgreementPublic::from(fixed("mask_key", &wire.mask_key)?),
            commitment: Commitment::from(fixed("commitment", &wire.commitment)?),
            signature: signature(&wire.signature)?,
        })
    }
}

fn signature(bytes: &[u8]) -> Result<Signature, WireError> {
    Ok(Signature::from(fixed("signature", bytes)?))
}

fn sealed(wire: &BTreeMap<u32, Bytes>) -> Result<BTreeMap<Index, SealedShares>, WireError> {
    let one = |(index, bytes): (&u32, &Bytes)| {
        let unreadable = |_| range("shares", format!("{} bytes", SealedShares::BYTES), bytes.len());
        Ok((*index, SealedShares::try_from(&bytes[..]).map_err(unreadable)?))
    };
    wire.iter().map(one).collect()
}

fn unsealed(shares: &BTreeMap<Index, SealedShares>) -> BTreeMap<u32, Bytes> {
    shares.iter().map(|(index, shares)| (*index, copied(shares.as_bytes()))).collect()
}

fn revealed(
    field: &'static str,
    wire: &BTreeMap<u32, Bytes>,
) -> Result<BTreeMap<Index, RevealedShare>, WireError> {
    wire.iter().map(|(index, bytes)| Ok((*index, RevealedShare::from(fixed(field, bytes)?)))).collect()
}

fn shown(shares: &BTreeMap<Index, RevealedShare>) -> BTreeMap<u32, Bytes> {
    shares.iter().map(|(index, share)| (*index, copied(share.as_bytes()))).collect()
}

impl From<&CoordinatorMessage> for Told {
    fn from(message: &CoordinatorMessage) -> Self {
        match message {
            CoordinatorMessage::Delivery(Delivery { shared, shares }) => Self::Delivery(v1::Delivery {
                shared: shared.iter().copied().collect(),
                shares: unsealed(shares),
            }),
            CoordinatorMessage::Survivors(Survivors(survivors)) => {
                Self::Survivors(v1::Survivors { survivors: survivors.iter().copied().collect() })
            }
            CoordinatorMessage::Signatures(Signatures(signatures)) => {
                let one = |(index, signature): (&Index, &Signature)| (*index, copied(signature.as_bytes()));
                Self::Signatures(v1::Signatures { signatures: signatures.iter().map(one).collect() })
            }
            CoordinatorMessage::Roster(Roster(members)) => {
                let one = |(name, keys): (&ParticipantName, &AdvertiseKeys)| (name.to_string(), keys.into());
                Self::Roster(v1::Roster { members: members.iter().map(one).collect() })
            }
        }
    }
}

impl TryFrom<Told> for CoordinatorMessage {
    type Error = WireError;

    fn try_from(wire: Told) -> Result<Self, WireError> {
        Ok(match wire {
            Told::Roster(v1::Roster { members }) => {
                let one = |(name, keys): (String, v1::AdvertiseKeys)| {
                    let name: ParticipantName =
                        name.parse().map_err(|source| WireError::Id { field: "roster.members", source })?;
                    Ok((name, keys.try_into()?))
                };
                Self::Roster(Roster(members.into_iter().map(one).collect::<Result<_, WireError>>()?))
            }
            Told::Delivery(v1::Delivery { shared, shares }) => {
                Self::Delivery(Delivery { shared: shared.into_iter().collect(), shares: sealed(&shares)? })
            }
            Told::Survivors(v1::Survivors { survivors }) => {
                Self::Survivors(Survivors(survivors.into_iter().collect()))
            }
            Told::Signatures(v1::Signatures { signatures }) => {
                let one = |(index, bytes): (u32, Bytes)| Ok((index, signature(&bytes)?));
                Self::Signatures(Signatures(
                    signatures.into_iter().map(one).collect::<Result<_, WireError>>()?,
                ))
            }
            Told::Result(_) => return Err(range("secure.message", "a stage of a session", "a result")),
        })
    }
}

impl From<&ParticipantMessage> for Answer {
    fn from(message: &ParticipantMessage) -> Self {
        match message {
            ParticipantMessage::AdvertiseKeys(keys) => Self::AdvertiseKeys(keys.into()),
            ParticipantMessage::ShareKeys(ShareKeys(shares)) => {
                Self::ShareKeys(v1::ShareKeys { shares: unsealed(shares) })
            }
            ParticipantMessage::Consistency(Consistency(signature)) => {
                Self::Consistency(v1::Consistency { signature: copied(signature.as_bytes()) })
            }
            ParticipantMessage::Unmask(Unmask { self_masks, mask_secrets }) => {
                Self::Unmask(v1::Unmask { self_masks: shown(self_masks), mask_secrets: shown(mask_secrets) })
            }
        }
    }
}

impl TryFrom<Answer> for ParticipantMessage {
    type Error = WireError;

    fn try_from(wire: Answer) -> Result<Self, WireError> {
        Ok(match wire {
            Answer::AdvertiseKeys(keys) => Self::AdvertiseKeys(keys.try_into()?),
            Answer::ShareKeys(v1::ShareKeys { shares }) => Self::ShareKeys(ShareKeys(sealed(&shares)?)),
            Answer::Consistency(wire) => Self::Consistency(Consistency(signature(&wire.signature)?)),
            Answer::Unmask(v1::Unmask { self_masks, mask_secrets }) => Self::Unmask(Unmask {
                self_masks: revealed("self_masks", &self_masks)?,
                mask_secrets: revealed("mask_secrets", &mask_secrets)?,
            }),
        })
    }
}

impl TryFrom<v1::AnswerSessionRequest> for (federated_core::ids::TaskId, ParticipantMessage) {
    type Error = WireError;

    fn try_from(wire: v1::AnswerSessionRequest) -> Result<Self, WireError> {
        let task = required("task", wire.task)?.try_into()?;
        Ok((task, required("message", wire.message)?.try_into()?))
    }
}

#[cfg(test)]
mod tests {
    use federated_core::{
        ids::{RoundNumber, TaskId},
        job::{answer_bytes, told_bytes},
    };
    use prost::Message;

    use super::*;

    /// Indices of one, two and three bytes; 0 is left out of what has a field of its own.
    const INDICES: [Index; 8] = [0, 1, 127, 128, 300, 16_383, 16_384, 70_000];

    fn tasks() -> [TaskId; 2] {
        let task = |job: &str, round, attempt| TaskId { job: job.parse().unwrap(), round, attempt };
        let later = (0..200).fold(RoundNumber::FIRST, |round, _| round.next());
        [task("heart", RoundNumber::FIRST, 1), task(&"a".repeat(63), later, 1_000)]
    }

    fn by_index<T: Clone>(count: usize, value: &T) -> BTreeMap<Index, T> {
        INDICES.into_iter().take(count).map(|index| (index, value.clone())).collect()
    }

    fn advertised() -> AdvertiseKeys {
        AdvertiseKeys {
            seal: [1; 32].into(),
            mask: [2; 32].into(),
            commitment: [3; 32].into(),
            signature: [4; 64].into(),
        }
    }

    #[test]
    fn answers_are_as_long_as_a_job_counts() {
        let shares = SealedShares::try_from(&[0; SealedShares::BYTES][..]).unwrap();
        let revealed = RevealedShare::from([0; 32]);
        for (count, task) in (0..=INDICES.len()).flat_map(|count| tasks().map(|task| (count, task))) {
            for message in [
                ParticipantMessage::AdvertiseKeys(advertised()),
                ParticipantMessage::ShareKeys(ShareKeys(by_index(count, &shares))),
                ParticipantMessage::Consistency(Consistency([5; 64].into())),
                ParticipantMessage::Unmask(Unmask {
                    self_masks: by_index(count, &revealed),
                    mask_secrets: by_index(INDICES.len() - count, &revealed),
                }),
            ] {
                let (id, sent) = (Some((&task).into()), Some((&message).into()));
                let wire = v1::AnswerSessionRequest { task: id, message: sent };
                assert_eq!(answer_bytes(&task, &message), wire.encoded_len() as u64, "{message:?}");
            }
        }
    }

    #[test]
    fn what_is_told_is_as_long_as_a_job_counts() {
        let shares = SealedShares::try_from(&[0; SealedShares::BYTES][..]).unwrap();
        for (count, task) in (0..=INDICES.len()).flat_map(|count| tasks().map(|task| (count, task))) {
            let (indices, name) = (INDICES.into_iter().take(count), |length: usize| "n".repeat(length));
            let roster = (0..count).map(|member| (name(1 + 8 * member).parse().unwrap(), advertised()));
            for message in [
                CoordinatorMessage::Roster(Roster(roster.collect())),
                CoordinatorMessage::Delivery(Delivery {
                    shared: indices.clone().collect(),
                    shares: by_index(count, &shares),
                }),
                CoordinatorMessage::Survivors(Survivors(indices.collect())),
                CoordinatorMessage::Signatures(Signatures(by_index(count, &Signature::from([6; 64])))),
            ] {
                let (id, sent) = (Some((&task).into()), Some((&message).into()));
                let directive = v1::SecureDirective { task: id, message: sent };
                let wire = v1::Directive { kind: Some(v1::directive::Kind::Secure(directive)) };
                assert_eq!(told_bytes(&task, &message), wire.encoded_len() as u64, "{message:?}");
            }
        }
    }
}
