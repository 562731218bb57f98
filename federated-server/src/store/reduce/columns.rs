use federated_core::{
    aggregate::WeightedBlock, compression::BLOCK_ELEMENTS, model::bytes_of_mut, update::ExampleCount,
};

use super::encoded::{Decoding, EncodedUpdate};
use crate::store::{StoreError, spool::SpooledUpdate};

/// Most elements of a block.
const MAX_BLOCK: usize = 65_536;
/// Blocks are a multiple of this.
const GRAIN: usize = 1_024;

/// An update of an attempt, with its weight.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) examples: ExampleCount,
    /// What its values are multiplied with.
    pub(super) factor: f32,
    pub(super) values: Values,
}

/// Where the values of an update come from.
#[derive(Debug)]
pub(super) enum Values {
    /// They are there as they are in memory, and read from any place on.
    Plain(Box<dyn SpooledUpdate>),
    /// They are decoded, a block at a time.
    Encoded(EncodedUpdate),
}

/// The updates of an attempt, to be read in blocks of columns.
#[derive(Debug)]
pub(super) struct Columns {
    updates: Vec<Column>,
    elements: u64,
    block: usize,
}

/// A worker's memory.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The same stretch of every update.
    values: Vec<Vec<f32>>,
    decoding: Decoding,
}

impl Columns {
    /// A worker holds so many elements at a time. The fewer updates, the larger the blocks: the memory is the same for two participants and for a thousand. Where
    /// an update is encoded the blocks are its own, and the memory of a worker is 256 KiB for each update.
    pub(super) fn new(updates: Vec<Column>, elements: u64, held: usize) -> Self {
        let encoded = updates.iter().any(|update| matches!(update.values, Values::Encoded(_)));
        let block = if encoded {
            BLOCK_ELEMENTS
        } else {
            (held / updates.len().max(1) / GRAIN * GRAIN).clamp(GRAIN, MAX_BLOCK)
        };
        Self { updates, elements, block }
    }

    /// How many blocks there are.
    pub(super) fn blocks(&self) -> u64 {
        self.elements.div_ceil(self.block as u64)
    }

    /// Where a block starts, and its length, in elements.
    pub(super) fn place(&self, block: u64) -> (u64, usize) {
        let start = block * self.block as u64;
        let length = usize::try_from(self.elements - start).unwrap_or(usize::MAX);
        (start, length.min(self.block))
    }

    /// The updates that are kept by `pick`, in blocks of the same size.
    pub(super) fn pick(self, pick: impl FnOnce(Vec<Column>) -> Vec<Column>) -> Self {
        Self { updates: pick(self.updates), ..self }
    }

    /// The same with each update multiplied with its factor.
    pub(super) fn scaled(mut self, factors: impl IntoIterator<Item = f32>) -> Self {
        self.updates.iter_mut().zip(factors).for_each(|(update, factor)| update.factor = factor);
        self
    }

    /// Reads a block of every update.
    pub(super) fn read<'a>(
        &self,
        block: u64,
        scratch: &'a mut Scratch,
    ) -> Result<Vec<WeightedBlock<'a>>, StoreError> {
        let (start, length) = self.place(block);
        scratch.values.resize_with(self.updates.len(), Vec::new);
        for (update, values) in self.updates.iter().zip(&mut scratch.values) {
            values.resize(length, 0.0);
            match &update.values {
                Values::Plain(update) => update.read_exact_at(bytes_of_mut(values), start * 4)?,
                Values::Encoded(update) => update.read(block, values, &mut scratch.decoding)?,
            }
            if update.factor < 1.0 {
                values.iter_mut().for_each(|value| *value *= update.factor);
            }
        }
        let weighted =
            |(update, values): (&Column, &'a Vec<f32>)| WeightedBlock { examples: update.examples, values };
        Ok(self.updates.iter().zip(&scratch.values).map(weighted).collect())
    }
}
