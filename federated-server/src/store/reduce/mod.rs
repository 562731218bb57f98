//! The new model out of the old one and the updates of a round.
//!
//! Read in this order: [`Reduction`] is the whole, `columns` reads the same stretch of every update, `encoded`
//! those that must be decoded, `in_order` does the stretches on all cores and hands on the results in their order.
//! `noised` clips updates and adds noise to their mean. [`MaskedReduction`] is the same for updates that are masked.

mod columns;
mod encoded;
mod in_order;
mod masked;
mod noised;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, num::NonZero, thread};

use federated_core::{
    aggregate::{Aggregation, Aggregator, DistanceSums, UpdateSelector},
    ids::{Digest, ParticipantName, TaskId},
    model::{ModelLayout, bytes_of, bytes_of_mut, check_values},
    round::{Receipt, UpdateKind},
    strategy::Strategy,
    update::ExampleCount,
};
use federated_proto::WireError;

use self::{
    columns::{Column, Columns, Scratch, Values},
    encoded::EncodedUpdate,
    in_order::in_order,
};
use super::{
    Store, StoreError, StoredModel,
    spool::{self, SpooledUpdate},
};

pub use self::{
    masked::{MaskedGroup, MaskedReduction, Unmasked},
    noised::MeanNoise,
};

/// Combines the updates of an attempt with the model they started from.
///
/// The work is done in blocks of columns over all updates, one block a core at a time. The memory is a few MiB a core,
/// whatever the size of the model and however many updates there are; where an update is encoded, 256 KiB of each
/// update a core. The result has the same bits whatever the
/// division and the order in which the updates came.
#[derive(Debug)]
pub struct Reduction<'a> {
    /// The attempt.
    pub task: &'a TaskId,
    /// The tensors.
    pub layout: &'a ModelLayout,
    /// The model that the updates start from.
    pub base: Digest,
    /// Whose updates.
    pub contributions: &'a BTreeMap<ParticipantName, Receipt>,
    /// How they are combined.
    pub strategy: &'a dyn Strategy,
    /// How the work is divided.
    pub division: Division,
    /// Whether each update is compared with its digest first: what lay on the disk while no coordinator ran may have
    /// been changed. That takes a second for each few GB.
    pub verify: bool,
    /// What hides each participant in the result, if anything does.
    pub noise: Option<MeanNoise<'a>>,
}

/// How a reduction is divided. It changes nothing in the result.
#[derive(Clone, Copy, Debug)]
pub struct Division {
    /// Threads that work at a time.
    pub cores: NonZero<usize>,
    /// Elements that each of them holds at a time, of all updates together.
    pub held: usize,
}

impl Default for Division {
    /// All cores, and as many elements as stay in the second-level cache of each: 2 MiB.
    fn default() -> Self {
        Self { cores: thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN), held: 512 << 10 }
    }
}

/// Compares an update with the digest in its receipt.
fn verify(update: &dyn SpooledUpdate, expected: Digest, name: String) -> Result<(), StoreError> {
    let found = spool::read_through(update, |_| Ok(()))?;
    if found == expected {
        return Ok(());
    }
    let (path, expected, found) = (name.into(), expected.to_string(), found.to_string());
    Err(StoreError::Damaged { path, expected, found })
}

impl Reduction<'_> {
    /// Makes the new model and gives its digest; it is durable then.
    ///
    /// # Errors
    /// [`StoreError`] when a file cannot be read or written, or the result would hold a value that is not finite.
    pub fn run(&self, store: &Store) -> Result<Digest, StoreError> {
        let base = store.open_model(self.base)?;
        let open = |(participant, receipt)| self.open(store, participant, receipt);
        let updates = self.contributions.iter().map(open).collect::<Result<_, StoreError>>()?;
        let columns = Columns::new(updates, self.layout.elements(), self.division.held);
        match self.strategy.aggregation() {
            Aggregation::Linear(aggregator) => match self.noise {
                None => self.combine(store, &base, &columns, aggregator),
                Some(noise) => self.combine_noised(store, &base, columns, aggregator, noise),
            },
            // Noise is calibrated to a mean.
            _ if self.noise.is_some() => Err(StoreError::NoiseWithout),
            Aggregation::Columns(aggregator) => self.combine(store, &base, &columns, aggregator),
            Aggregation::Selection(selector) => {
                let chosen = self.choose(&columns, selector)?;
                let columns = columns.pick(|updates| chosen.pick(updates));
                self.combine(store, &base, &columns, &chosen)
            }
        }
    }

    fn open(
        &self,
        store: &Store,
        participant: &ParticipantName,
        receipt: &Receipt,
    ) -> Result<Column, StoreError> {
        let Receipt { content, bytes, kind } = receipt;
        let UpdateKind::Open { encoding, examples, .. } = kind else {
            let (expected, found) = ("an update that can be read".to_owned(), "a masked one".to_owned());
            let wrong = WireError::Encoding { field: "header.masked", expected, found };
            return Err(StoreError::Content(wrong));
        };
        let update = store.open_update(self.task, participant, *content, *bytes)?;
        if self.verify {
            verify(update.as_ref(), *content, format!("{}/{participant}", self.task))?;
        }
        let values = if encoding.is_plain() {
            Values::Plain(update)
        } else {
            let name = format!("{}/{participant}", self.task).into();
            Values::Encoded(EncodedUpdate::open(update, name, *encoding, self.layout.elements())?)
        };
        // In a mean with noise all weigh the same: a weight would tell.
        let examples = if self.noise.is_some() { ExampleCount::ONE } else { *examples };
        Ok(Column { examples, factor: 1.0, values })
    }

    /// The pass over all columns that finds out which updates count.
    fn choose(
        &self,
        columns: &Columns,
        selector: &dyn UpdateSelector,
    ) -> Result<federated_core::aggregate::Chosen, StoreError> {
        let empty = || DistanceSums::new(self.contributions.len(), self.layout.elements());
        let add = |(sums, scratch): &mut (DistanceSums, Scratch), block| {
            sums.add(&columns.read(block, scratch)?)?;
            Ok::<_, StoreError>(())
        };
        let parts =
            in_order(self.division.cores, columns.blocks(), || (empty(), Scratch::default()), add, Ok)?;
        let mut sums = empty();
        parts.iter().try_for_each(|(part, _)| sums.merge(part))?;
        Ok(selector.choose(&sums.complete()?)?)
    }

    /// The pass that makes the new model.
    fn combine<A: Aggregator + ?Sized>(
        &self,
        store: &Store,
        base: &StoredModel,
        columns: &Columns,
        aggregator: &A,
    ) -> Result<Digest, StoreError> {
        self.combine_with(store, base, columns, aggregator, |_, _| Ok(()))
    }

    /// The same, with something done to each block of the combined update; the block is told by its number.
    fn combine_with<A: Aggregator + ?Sized>(
        &self,
        store: &Store,
        base: &StoredModel,
        columns: &Columns,
        aggregator: &A,
        change: impl Fn(u64, &mut [f32]) -> Result<(), StoreError> + Sync,
    ) -> Result<Digest, StoreError> {
        let mut writer = store.new_model(self.task.job.as_str())?;
        let make = |scratch: &mut Scratch, block| {
            let (start, length) = columns.place(block);
            let mut model = vec![0.0; length];
            base.read_exact_at(bytes_of_mut(&mut model), start * 4)?;
            let mut combined = aggregator.combine(&columns.read(block, scratch)?)?;
            change(block, &mut combined)?;
            self.strategy.apply(&mut model, &combined);
            check_values(self.layout, start, &model).map_err(WireError::from)?;
            Ok(model)
        };
        let write = |model: Vec<f32>| writer.write(bytes_of(&model));
        in_order(self.division.cores, columns.blocks(), Scratch::default, make, write)?;
        writer.finish(store)
    }
}
