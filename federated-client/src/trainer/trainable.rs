use burn::{
    module::AutodiffModule,
    tensor::{Tensor, backend::AutodiffBackend},
};

/// A burn module that knows what it is trained for.
///
/// # Examples
/// A module, its examples, and the trainer made of them:
/// ```
/// use burn::{backend::{Autodiff, Flex}, module::Module, nn::{Linear, LinearConfig}, optim::AdamConfig};
/// use burn::tensor::{Tensor, TensorData, backend::{AutodiffBackend, Backend}};
/// use federated_client::{dataset::{BoxError, Dataset}, trainer::{BurnTrainer, LocalTrainer, TrainableModule}};
///
/// #[derive(Module, Debug)]
/// struct DoseModel<B: Backend> {
///     linear: Linear<B>,
/// }
///
/// impl<B: AutodiffBackend> TrainableModule<B> for DoseModel<B> {
///     type Batch = (Tensor<B, 2>, Tensor<B, 2>);
///     fn loss(&self, (weight, dose): Self::Batch) -> Tensor<B, 1> {
///         (self.linear.forward(weight) - dose).square().mean()
///     }
/// }
///
/// struct Patients(Vec<(f32, f32)>);
///
/// impl<B: Backend> Dataset<B> for Patients {
///     type Batch = (Tensor<B, 2>, Tensor<B, 2>);
///     fn len(&self) -> usize {
///         self.0.len()
///     }
///     fn batch(&self, indices: &[usize], device: &B::Device) -> Result<Self::Batch, BoxError> {
///         let column = |pick: fn(&(f32, f32)) -> f32| {
///             let values: Vec<f32> = indices.iter().map(|&index| pick(&self.0[index])).collect();
///             Tensor::from_data(TensorData::new(values, [indices.len(), 1]), device)
///         };
///         Ok((column(|patient| patient.0), column(|patient| patient.1)))
///     }
/// }
///
/// let module = DoseModel::<Autodiff<Flex>> { linear: LinearConfig::new(1, 1).init(&Default::default()) };
/// let trainer = BurnTrainer::new(module, Patients(vec![(0.7, 1.4), (0.9, 1.8)]), AdamConfig::new().init());
/// assert_eq!(trainer.example_count(), 2);
/// ```
pub trait TrainableModule<B: AutodiffBackend>: AutodiffModule<B> {
    /// The examples of one step, as the data set gives them.
    type Batch;

    /// The mean loss over the examples of the batch: one element.
    ///
    /// It must be the mean, not the sum, or the batch size changes the learning rate.
    fn loss(&self, batch: Self::Batch) -> Tensor<B, 1>;
}
