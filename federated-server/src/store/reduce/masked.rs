//! The new model out of masked updates: their sum, the masks that are left in it, and what it stands for.

use std::collections::BTreeMap;

use federated_core::{
    aggregate::{Aggregator, WeightedBlock},
    ids::{Digest, Fingerprint, ParticipantName, TaskId},
    model::{ModelLayout, bytes_of, bytes_of_mut, check_values},
    privacy::secagg::{KeystreamBuffer, PreparedMask, Totals, VectorError, VectorPlan, add},
    strategy::Strategy,
    update::ExampleCount,
};
use federated_proto::WireError;
use ring::digest::{Context, SHA256};

use super::{Division, in_order::in_order, verify};
use crate::store::{ModelWriter, Store, StoreError, StoredModel, spool::SpooledUpdate};

/// Adds the masked updates of an attempt, takes away the masks that are left in the sum, and adds the mean to the model
/// that they start from.
///
/// The work is done in chunks of keystream: 1 MiB of every update and of every mask, so that no keystream is made
/// twice. Where there are fewer chunks than cores keep busy, several share one: each adds some of the updates and
/// masks. The memory is about 5 MiB a core, whatever the size of the model and however many updates and masks there
/// are, and a chunk of each group's sum beside it. The result has the same bits whatever the division.
#[derive(Debug)]
pub struct MaskedReduction<'a> {
    /// The attempt.
    pub task: &'a TaskId,
    /// The tensors.
    pub layout: &'a ModelLayout,
    /// The model that the updates start from.
    pub base: Digest,
    /// What is added, each group by itself.
    pub groups: &'a [MaskedGroup],
    /// What makes one mean of several groups'.
    pub rule: &'a dyn Aggregator,
    /// How updates became vectors.
    pub plan: &'a VectorPlan,
    /// What becomes of the mean.
    pub strategy: &'a dyn Strategy,
    /// How the work is divided; what a core holds does not depend on it.
    pub division: Division,
    /// Whether each update is compared with its digest first, as in [`Reduction`](super::Reduction).
    pub verify: bool,
}

/// Masked updates that are added up, and what is left in their sum.
#[derive(Debug)]
pub struct MaskedGroup {
    /// Whose masked updates are added, and what each of them is.
    pub survivors: BTreeMap<ParticipantName, Digest>,
    /// What undoes what is left in the sum: the self masks of the survivors, taken away, and each mask that a survivor
    /// shares with one who dropped out, with the opposite of the sign that the survivor gave it.
    pub masks: Vec<PreparedMask>,
}

/// What came of a [`MaskedReduction`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Unmasked {
    /// The new model.
    pub model: Digest,
    /// What all survivors have together: examples, and metrics.
    pub totals: Totals,
    /// SHA-256 of each group's sum without masks, as elements in their wire form.
    pub sums: Vec<Fingerprint>,
}

/// The masked updates of a group.
type Updates = Vec<Box<dyn SpooledUpdate>>;

/// A worker's memory.
#[derive(Default)]
struct Scratch {
    keystream: KeystreamBuffer,
    read: Vec<u8>,
}

/// The chunks of each group, and how many workers share one.
#[derive(Clone, Copy)]
struct Shares {
    chunks: u64,
    groups: u64,
    shares: u64,
}

/// A share of a chunk of a group's sum.
struct Place {
    chunk: u64,
    group: usize,
    share: u64,
}

impl Shares {
    fn blocks(self) -> u64 {
        self.chunks * self.groups * self.shares
    }

    /// Chunk by chunk, in each of them group by group.
    fn place(self, block: u64) -> Place {
        let group = block / self.shares % self.groups;
        Place {
            chunk: block / self.shares / self.groups,
            group: usize::try_from(group).unwrap_or(usize::MAX),
            share: block % self.shares,
        }
    }

    /// Part `share` of updates or masks.
    fn of<T>(self, all: &[T], share: u64) -> &[T] {
        let at = |share: u64| {
            let place = all.len() as u128 * u128::from(share) / u128::from(self.shares);
            usize::try_from(place).unwrap_or(usize::MAX)
        };
        all.get(at(share)..at(share + 1)).unwrap_or_default()
    }
}

impl MaskedReduction<'_> {
    /// Makes the new model, which is durable then.
    ///
    /// # Errors
    /// [`StoreError::Vector`] when the sum is not one of such updates: a mask is missing, or a participant did not keep
    /// to the protocol; [`StoreError`] when a file cannot be read or written, or the result would hold a value that is
    /// not finite.
    pub fn run(&self, store: &Store) -> Result<Unmasked, StoreError> {
        let base = store.open_model(self.base)?;
        let open =
            |(participant, content): (&ParticipantName, &Digest)| self.open(store, participant, *content);
        let open = |group: &MaskedGroup| group.survivors.iter().map(open).collect();
        let updates = self.groups.iter().map(open).collect::<Result<Vec<Updates>, StoreError>>()?;
        let shares = self.shares();
        let mut sum = Sum {
            reduction: self,
            base: &base,
            shares,
            writer: store.new_model(self.task.job.as_str())?,
            block: 0,
            groups: self.groups.iter().map(RunningSum::new).collect(),
        };
        let work = |scratch: &mut Scratch, block| self.add(shares, &updates, block, scratch);
        in_order(self.division.cores, shares.blocks(), Scratch::default, work, |part| sum.take(part))?;
        sum.finish(store)
    }

    fn open(
        &self,
        store: &Store,
        participant: &ParticipantName,
        content: Digest,
    ) -> Result<Box<dyn SpooledUpdate>, StoreError> {
        let bytes = self.plan.byte_len(self.layout.elements());
        let update = store.open_update(self.task, participant, content, bytes)?;
        if self.verify {
            verify(update.as_ref(), content, format!("{}/{participant}", self.task))?;
        }
        Ok(update)
    }

    fn elements(&self) -> u64 {
        self.plan.elements(self.layout.elements())
    }

    /// Two blocks a core at least, as long as there is something to share.
    fn shares(&self) -> Shares {
        let chunks = self.plan.modulus().chunks(self.elements());
        let groups = self.groups.len().max(1) as u64;
        let terms =
            self.groups.iter().map(|group| group.survivors.len() + group.masks.len()).max().unwrap_or(1);
        let shares = (2 * self.division.cores.get() as u64).div_ceil((chunks * groups).max(1));
        Shares { chunks, groups, shares: shares.clamp(1, terms.max(1) as u64) }
    }

    /// Adds a share of the updates and masks of a chunk.
    fn add(
        &self,
        shares: Shares,
        updates: &[Updates],
        block: u64,
        scratch: &mut Scratch,
    ) -> Result<Vec<u8>, StoreError> {
        let Place { chunk, group, share } = shares.place(block);
        let (updates, masks) = match (updates.get(group), self.groups.get(group)) {
            (Some(updates), Some(group)) => (updates.as_slice(), group.masks.as_slice()),
            _ => Default::default(),
        };
        let modulus = self.plan.modulus();
        let range = modulus.chunk(chunk, self.elements());
        let width = modulus.bytes();
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX) * width;
        let mut sum = vec![0; length];
        for update in shares.of(updates, share) {
            scratch.read.resize(length, 0);
            update.read_exact_at(&mut scratch.read, range.start * width as u64)?;
            add(modulus, &mut sum, &scratch.read)?;
        }
        scratch.keystream.apply(modulus, shares.of(masks, share), range.start, &mut sum)?;
        Ok(sum)
    }
}

/// What is taken of the workers, in its order.
struct Sum<'a> {
    reduction: &'a MaskedReduction<'a>,
    base: &'a StoredModel,
    shares: Shares,
    writer: ModelWriter,
    /// The next block.
    block: u64,
    groups: Vec<RunningSum>,
}

/// How far the sum of a group is.
struct RunningSum {
    survivors: u32,
    /// The sum of the shares of a chunk so far.
    chunk: Vec<u8>,
    /// Known from the first chunk on.
    totals: Option<Totals>,
    sha256: Context,
}

impl RunningSum {
    fn new(group: &MaskedGroup) -> Self {
        let survivors = u32::try_from(group.survivors.len()).unwrap_or(u32::MAX);
        Self { survivors, chunk: Vec::new(), totals: None, sha256: Context::new(&SHA256) }
    }

    /// The means of the values in a chunk that is complete, and without masks; `place` is its first value, and how many values
    /// the model has.
    fn means(
        &mut self,
        plan: &VectorPlan,
        is_first: bool,
        place: (u64, u64),
    ) -> Result<Vec<f32>, StoreError> {
        self.sha256.update(&self.chunk);
        let totals = match &self.totals {
            Some(totals) => totals,
            // The elements before the values take a few hundred bytes of the first chunk.
            None => {
                let prefix = self.chunk.get(..plan.prefix_bytes()).unwrap_or_default();
                self.totals.insert(plan.decode_prefix(prefix, self.survivors)?)
            }
        };
        let sums = if is_first { self.chunk.get(plan.prefix_bytes()..) } else { Some(&self.chunk[..]) };
        let sums = sums.unwrap_or_default();
        let mut means = vec![0.0; sums.len() / plan.modulus().bytes()];
        plan.decode_values(totals, place, sums, &mut means)?;
        Ok(means)
    }
}

impl Sum<'_> {
    fn take(&mut self, part: Vec<u8>) -> Result<(), StoreError> {
        let Place { chunk, group, share } = self.shares.place(self.block);
        self.block += 1;
        let Some(sum) = self.groups.get_mut(group) else { return Ok(()) };
        if share == 0 {
            sum.chunk = part;
        } else {
            add(self.reduction.plan.modulus(), &mut sum.chunk, &part)?;
        }
        let is_last = group + 1 == self.groups.len() && share + 1 == self.shares.shares;
        if is_last { self.take_chunk(chunk) } else { Ok(()) }
    }

    /// A chunk of every sum is complete.
    fn take_chunk(&mut self, chunk: u64) -> Result<(), StoreError> {
        let MaskedReduction { plan, layout, rule, strategy, .. } = self.reduction;
        let first = plan.modulus().chunk(chunk, self.reduction.elements()).start;
        let value = first.saturating_sub(plan.prefix_elements());
        let means =
            self.groups.iter_mut().map(|group| group.means(plan, chunk == 0, (value, layout.elements())));
        let combined = combined(*rule, means.collect::<Result<_, _>>()?)?;
        let mut model = vec![0.0; combined.len()];
        self.base.read_exact_at(bytes_of_mut(&mut model), value * 4)?;
        strategy.apply(&mut model, &combined);
        check_values(layout, value, &model).map_err(WireError::from)?;
        self.writer.write(bytes_of(&model))
    }

    fn finish(self, store: &Store) -> Result<Unmasked, StoreError> {
        let (mut totals, mut sums) = (Vec::new(), Vec::new());
        for group in self.groups {
            let mut sum = [0; 32];
            sum.copy_from_slice(group.sha256.finish().as_ref());
            sums.push(sum.into());
            // A model has values, so there was a chunk.
            let expected = self.reduction.plan.prefix_bytes() as u64;
            totals.push(group.totals.ok_or(VectorError::Length { expected, found: 0 })?);
        }
        Ok(Unmasked { model: self.writer.finish(store)?, totals: Totals::merged(&totals), sums })
    }
}

/// What a rule makes of the groups' means, each of which has one vote. One mean is the result itself.
fn combined(rule: &dyn Aggregator, mut means: Vec<Vec<f32>>) -> Result<Vec<f32>, StoreError> {
    if means.len() < 2 {
        return Ok(means.pop().unwrap_or_default());
    }
    let weighted = |values| WeightedBlock { examples: ExampleCount::ONE, values };
    let blocks: Vec<WeightedBlock<'_>> = means.iter().map(|values| weighted(values.as_slice())).collect();
    Ok(rule.combine(&blocks)?)
}

#[cfg(test)]
mod tests;
