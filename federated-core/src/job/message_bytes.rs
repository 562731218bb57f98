//! How long the messages of secure aggregation are as they travel: in `federated.v1`, with the task they belong to.
//!
//! A log holds what was said and not how it travelled, and must give the same account whenever it is read. So the lengths are
//! worked out here, from the protocol's encoding; the tests of the crate that encodes the messages compare.
//!
//! # References
//! Protocol Buffers, "Encoding": numbers of 7 bits a byte, a length in front of whatever is not a number, zeros left out.

use crate::{
    ids::TaskId,
    privacy::secagg::{CoordinatorMessage, Index, ParticipantMessage, SealedShares},
};

const KEY: u64 = 32;
const SIGNATURE: u64 = 64;
const SHARE: u64 = 32;

/// Bytes of an answer, as AnswerSession takes it.
#[must_use]
pub fn answer_bytes(task: &TaskId, message: &ParticipantMessage) -> u64 {
    let message = match message {
        ParticipantMessage::AdvertiseKeys(_) => keys(),
        ParticipantMessage::ShareKeys(shares) => map(shares.0.keys(), SealedShares::BYTES as u64),
        ParticipantMessage::Consistency(_) => field(SIGNATURE),
        ParticipantMessage::Unmask(shares) => {
            map(shares.self_masks.keys(), SHARE) + map(shares.mask_secrets.keys(), SHARE)
        }
    };
    field(self::task(task)) + field(message)
}

/// Bytes of what the coordinator tells, as Attend does.
#[must_use]
pub fn told_bytes(task: &TaskId, message: &CoordinatorMessage) -> u64 {
    let message = match message {
        CoordinatorMessage::Roster(roster) => {
            let member = |name: &str| field(field(name.len() as u64) + field(keys()));
            roster.0.keys().map(|name| member(name.as_str())).sum()
        }
        CoordinatorMessage::Delivery(delivery) => {
            list(&delivery.shared) + map(delivery.shares.keys(), SealedShares::BYTES as u64)
        }
        CoordinatorMessage::Survivors(survivors) => list(&survivors.0),
        CoordinatorMessage::Signatures(signatures) => map(signatures.0.keys(), SIGNATURE),
    };
    field(field(self::task(task)) + field(message))
}

fn task(task: &TaskId) -> u64 {
    field(task.job.as_str().len() as u64) + number(task.round.get()) + number(task.attempt)
}

/// What AdvertiseKeys holds the same length for everyone: two keys, a commitment and a signature.
fn keys() -> u64 {
    3 * field(KEY) + field(SIGNATURE)
}

/// A map from indices to bytes, all of the same length.
fn map<'a>(indices: impl Iterator<Item = &'a Index>, bytes: u64) -> u64 {
    indices.map(|index| field(number(*index) + field(bytes))).sum()
}

/// Indices one after the other.
fn list<'a>(indices: impl IntoIterator<Item = &'a Index>) -> u64 {
    match indices.into_iter().map(|index| digits((*index).into())).sum() {
        0 => 0,
        bytes => field(bytes),
    }
}

/// A number in a field of its own.
fn number(number: u32) -> u64 {
    if number == 0 { 0 } else { 1 + digits(number.into()) }
}

/// So many bytes in a field of their own: its number, their length, and they.
fn field(bytes: u64) -> u64 {
    1 + digits(bytes) + bytes
}

/// The bytes of a number.
fn digits(number: u64) -> u64 {
    u64::from(number.max(1).ilog2()) / 7 + 1
}
