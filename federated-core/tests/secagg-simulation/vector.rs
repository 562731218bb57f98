//! The vectors that are summed: each says whose it is and for which attempt it was made.

use federated_core::{
    ids::TaskId,
    privacy::secagg::{KeystreamBuffer, Mask, PreparedMask, VectorPlan, add},
};

use crate::names::MOST_SITES;

/// A one in the place of the site, and in the first place what only this attempt has.
pub(crate) fn plain(plan: &VectorPlan, task: &TaskId, site: usize) -> Vec<u8> {
    let width = plan.modulus().bytes();
    let mut bytes = vec![0; usize::try_from(plan.byte_len(MOST_SITES as u64)).expect("small")];
    bytes[0] = u8::try_from(task.round.get() * 8 + task.attempt).expect("few attempts");
    bytes[plan.prefix_bytes() + site * width] = 1;
    bytes
}

pub(crate) fn apply(plan: &VectorPlan, masks: &[Mask], bytes: &mut [u8]) {
    let prepared = masks.iter().map(Mask::prepare).collect::<Result<Vec<PreparedMask>, _>>().expect("keys");
    KeystreamBuffer::new().apply(plan.modulus(), &prepared, 0, bytes).expect("whole elements");
}

/// The sum of vectors of the plan's length.
pub(crate) fn sum<'a>(plan: &VectorPlan, vectors: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut sum = vec![0; usize::try_from(plan.byte_len(MOST_SITES as u64)).expect("small")];
    vectors.into_iter().for_each(|vector| add(plan.modulus(), &mut sum, vector).expect("of the same length"));
    sum
}

/// The elements, for people.
pub(crate) fn elements(plan: &VectorPlan, bytes: &[u8]) -> Vec<u32> {
    let element = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    bytes.chunks(plan.modulus().bytes()).map(element).collect()
}
