//! Local examples.
//!
//! [`Dataset`] is what a trainer reads batches from; [`TabularDataset`] keeps a table in memory, and [`read_csv`] fills
//! one from a file.

mod csv;
mod error;
mod tabular;

use std::sync::Arc;

use burn::tensor::backend::Backend;

pub use csv::read_csv;
pub use error::DatasetError;
pub use tabular::{TabularBatch, TabularDataset};

/// An error of any type, from code that this library does not know.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Examples that can be read by their number, in any order.
pub trait Dataset<B: Backend>: Send {
    /// What the module takes for one step.
    type Batch;

    /// How many examples there are.
    fn len(&self) -> usize;

    /// Whether there is no example.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts the examples of these numbers on the device, in this order.
    ///
    /// `indices` is not empty, and each is below [`Dataset::len`].
    ///
    /// # Errors
    /// Whatever keeps the examples from being read, for instance a missing file.
    fn batch(&self, indices: &[usize], device: &B::Device) -> Result<Self::Batch, BoxError>;
}

impl<B: Backend, D: Dataset<B> + Sync> Dataset<B> for Arc<D> {
    type Batch = D::Batch;

    fn len(&self) -> usize {
        D::len(self)
    }

    fn batch(&self, indices: &[usize], device: &B::Device) -> Result<Self::Batch, BoxError> {
        D::batch(self, indices, device)
    }
}
