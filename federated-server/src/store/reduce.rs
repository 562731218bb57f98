use std::{collections::BTreeMap, fs::File, io::Read, thread};

use federated_core::{
    aggregate::WeightedBlock,
    ids::{Digest, ParticipantName, TaskId},
    model::{ModelLayout, check_values, values_from_le_bytes, values_to_le_bytes},
    round::Receipt,
    strategy::Strategy,
};
use federated_proto::WireError;

use super::{Store, StoreError};

/// Elements of a block: 256 KiB of each update at a time.
const BLOCK: usize = 65_536;

/// Combines the updates of an attempt with the model they started from.
///
/// The work is done in blocks of columns over all updates, several blocks at a time, one a core. The memory is the
/// number of cores times the number of updates times 256 KiB, whatever the size of the model; the result has the same
/// bits whatever the number of cores.
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
}

/// One block of every file, ready to be combined.
struct Columns {
    model: Vec<f32>,
    updates: Vec<Vec<f32>>,
}

impl Reduction<'_> {
    /// Makes the new model and gives its digest; it is durable then.
    ///
    /// # Errors
    /// [`StoreError`] when a file cannot be read or written, or the result would hold a value that is not finite.
    pub fn run(&self, store: &Store) -> Result<Digest, StoreError> {
        let (mut base, _) = store.open_model(self.base)?;
        let open = |participant| store.open_update(self.task, participant, self.layout);
        let mut updates = self.contributions.keys().map(open).collect::<Result<Vec<_>, _>>()?;
        let mut writer = store.new_model(self.task.job.as_str())?;
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut done = 0_u64;
        while done < self.layout.elements() {
            let mut batch = Vec::with_capacity(threads);
            let mut offset = done;
            while batch.len() < threads && offset < self.layout.elements() {
                let length =
                    usize::try_from(self.layout.elements() - offset).unwrap_or(usize::MAX).min(BLOCK);
                batch.push((offset, self.read(&mut base, &mut updates, length)?));
                offset += length as u64;
            }
            for block in self.combine_all(batch) {
                writer.write(&values_to_le_bytes(&block?))?;
            }
            done = offset;
        }
        writer.finish(store)
    }

    fn read(&self, base: &mut File, updates: &mut [File], length: usize) -> Result<Columns, StoreError> {
        let read = |file: &mut File| {
            let mut bytes = vec![0; length * 4];
            let action = StoreError::io("read an update of", self.task.to_string());
            file.read_exact(&mut bytes).map_err(action)?;
            Ok(values_from_le_bytes(&bytes))
        };
        Ok(Columns {
            model: read(base)?,
            updates: updates.iter_mut().map(read).collect::<Result<_, StoreError>>()?,
        })
    }

    /// Combines each block on a thread of its own, and gives the results in the order of the blocks.
    fn combine_all(&self, batch: Vec<(u64, Columns)>) -> Vec<Result<Vec<f32>, StoreError>> {
        thread::scope(|scope| {
            let spawn = |(offset, columns)| scope.spawn(move || self.combine(offset, columns));
            let workers: Vec<_> = batch.into_iter().map(spawn).collect();
            let join = |worker: thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().map(join).collect()
        })
    }

    fn combine(&self, offset: u64, columns: Columns) -> Result<Vec<f32>, StoreError> {
        let Columns { mut model, updates } = columns;
        let weighted =
            |(receipt, values): (&Receipt, _)| WeightedBlock { examples: receipt.examples, values };
        let blocks: Vec<_> =
            self.contributions.values().zip(updates.iter().map(Vec::as_slice)).map(weighted).collect();
        let combined = self.strategy.aggregator().combine(&blocks)?;
        self.strategy.apply(&mut model, &combined);
        check_values(self.layout, offset, &model).map_err(WireError::from)?;
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use federated_core::{
        ids::RoundNumber, metrics::Metrics, model::TensorSpec, strategy::FedSgd, update::ExampleCount,
    };

    use super::*;

    #[test]
    fn the_new_model_is_the_old_one_plus_the_weighted_mean_across_many_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let elements = 3 * BLOCK + 17;
        let layout = ModelLayout::new(vec![TensorSpec::new("w", [elements as u64])]).unwrap();
        let task = TaskId { job: "job".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 };
        let model: Vec<f32> = (0..elements).map(|n| n as f32).collect();
        let mut writer = store.new_model("job").unwrap();
        writer.write(&values_to_le_bytes(&model)).unwrap();
        let base = writer.finish(&store).unwrap();
        let mut contributions = BTreeMap::new();
        for (name, examples, value) in [("a", 1, 1.0), ("b", 3, 5.0)] {
            let participant: ParticipantName = name.parse().unwrap();
            let bytes = values_to_le_bytes(&vec![value; elements]);
            let content = Digest::of(&bytes);
            let mut partial = store.resume_upload(&task, &participant, content, 0).unwrap();
            partial.write(&bytes).unwrap();
            partial.finish(&layout).unwrap();
            let examples = ExampleCount::new(examples).unwrap();
            contributions.insert(participant, Receipt { content, examples, metrics: Metrics::new() });
        }
        let strategy = FedSgd { learning_rate: 0.1 };
        let (layout, contributions) = (&layout, &contributions);
        let reduction = Reduction { task: &task, layout, base, contributions, strategy: &strategy };
        let digest = reduction.run(&store).unwrap();
        let expected: Vec<f32> = model.iter().map(|value| value + 4.0).collect();
        assert_eq!(digest, Digest::of(&values_to_le_bytes(&expected)));
    }
}
