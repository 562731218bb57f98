use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

use super::{BoxError, Dataset, DatasetError};

/// A table in memory: numeric features and a class label for each example.
///
/// Features are used as they are. Columns of very different scale train badly, so scale them first.
///
/// # Examples
/// ```
/// use federated_client::dataset::TabularDataset;
///
/// let dataset = TabularDataset::new(2, vec![0.1, 1.0, 0.2, -1.0], vec![1, 0])?;
/// assert_eq!(dataset.row(1), Some((&[0.2_f32, -1.0][..], 0)));
/// # Ok::<(), federated_client::dataset::DatasetError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct TabularDataset {
    features: usize,
    values: Vec<f32>,
    labels: Vec<u32>,
}

impl TabularDataset {
    /// A table of `features` columns, at least 1: `values` row after row, one label a row, counted from 0.
    ///
    /// # Errors
    /// [`DatasetError::Shape`] when the numbers of values and labels do not fit together.
    pub fn new(features: usize, values: Vec<f32>, labels: Vec<u32>) -> Result<Self, DatasetError> {
        if features == 0 || labels.len().checked_mul(features) != Some(values.len()) {
            return Err(DatasetError::Shape { features, labels: labels.len(), values: values.len() });
        }
        Ok(Self { features, values, labels })
    }

    /// How many features an example has.
    #[must_use]
    pub const fn feature_count(&self) -> usize {
        self.features
    }

    /// How many examples there are.
    #[must_use]
    pub const fn example_count(&self) -> usize {
        self.labels.len()
    }

    /// The labels, example after example.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The features and the label of one example, counted from 0.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<(&[f32], u32)> {
        let label = *self.labels.get(index)?;
        Some((self.values.get(index * self.features..(index + 1) * self.features)?, label))
    }
}

impl std::fmt::Debug for TabularDataset {
    /// Sizes only: the examples are private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (features, examples) = (self.features, self.labels.len());
        f.debug_struct("TabularDataset").field("features", &features).field("examples", &examples).finish()
    }
}

/// Some examples of a [`TabularDataset`] on a device.
#[derive(Clone, Debug)]
pub struct TabularBatch<B: Backend> {
    /// One row an example: `[examples, features]`.
    pub features: Tensor<B, 2>,
    /// The class of each example: `[examples]`.
    pub labels: Tensor<B, 1, Int>,
}

impl<B: Backend> Dataset<B> for TabularDataset {
    type Batch = TabularBatch<B>;

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn batch(&self, indices: &[usize], device: &B::Device) -> Result<Self::Batch, BoxError> {
        let mut values = Vec::with_capacity(indices.len() * self.features);
        let mut labels = Vec::with_capacity(indices.len());
        for index in indices {
            let (features, label) =
                self.row(*index).ok_or("an example beyond the end of the table was asked for")?;
            values.extend_from_slice(features);
            labels.push(i64::from(label));
        }
        let rows = labels.len();
        Ok(TabularBatch {
            features: Tensor::from_data(TensorData::new(values, [rows, self.features]), device),
            labels: Tensor::from_data(TensorData::new(labels, [rows]), device),
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;

    use super::*;

    #[test]
    fn a_batch_holds_the_rows_asked_for_in_their_order() {
        let dataset = TabularDataset::new(2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0, 1, 2]).unwrap();
        let batch = Dataset::<Flex>::batch(&dataset, &[2, 0], &Default::default()).unwrap();
        assert_eq!(batch.features.to_data().to_vec::<f32>().unwrap(), [5.0, 6.0, 1.0, 2.0]);
        assert_eq!(batch.labels.to_data().iter::<i64>().collect::<Vec<_>>(), [2, 0]);
        assert!(Dataset::<Flex>::batch(&dataset, &[3], &Default::default()).is_err());
    }

    #[test]
    fn values_that_do_not_fill_the_rows_are_refused() {
        for (features, values, labels) in [(2, 3, 2), (0, 0, 0), (usize::MAX, 1, 2)] {
            let table = TabularDataset::new(features, vec![0.0; values], vec![0; labels]);
            assert!(matches!(table, Err(DatasetError::Shape { .. })));
        }
    }

    #[test]
    fn debug_output_shows_no_example() {
        let dataset = TabularDataset::new(1, vec![77.0], vec![1]).unwrap();
        assert_eq!(format!("{dataset:?}"), "TabularDataset { features: 1, examples: 1 }");
    }
}
