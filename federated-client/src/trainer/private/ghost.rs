use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use federated_core::privacy::dp::ClipNorm;

use super::{
    PrivateError, PrivateModule, Recording,
    pending::Pending,
    sum::{ClippedSum, factor, floats, read},
};

/// Adds the clipped gradients of a batch of `examples` examples to the sum, with one pass forward and one back.
///
/// The pass back gives the gradients of the layers' outputs. From them and the inputs follow the norms of the examples' gradients,
/// from the norms the weights, and the clipped sum is a weighted one: a product per layer, and no second pass.
pub(super) fn accumulate<B: AutodiffBackend, M: PrivateModule<B>>(
    module: &M,
    batch: M::Batch,
    examples: usize,
    clip: ClipNorm,
    (sum, pending): (&mut ClippedSum, &mut Pending<B::InnerBackend>),
) -> Result<Vec<f64>, PrivateError> {
    let mut tape = Recording::new(examples);
    let losses = module.losses(batch, &mut tape);
    if losses.dims() != [examples] {
        return Err(PrivateError::Examples { place: "losses", expected: examples, found: losses.dims()[0] });
    }
    let device = losses.device();
    let mut gradients = losses.sum().backward();
    let parts = tape.finish(&mut gradients, &sum.places().names())?;
    drop(gradients);
    let mut squared_norms = vec![0.0; examples];
    for part in &parts {
        let data = read(part.gradients.squared_norms())?;
        squared_norms.iter_mut().zip(floats(&data)?).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let factors = squared_norms.iter().map(|squared| factor(*squared, clip.get()));
    #[expect(clippy::cast_possible_truncation, reason = "the margin of a factor is more than its rounding")]
    let factors: Vec<f32> = factors.map(|factor| Ok(factor? as f32)).collect::<Result<_, PrivateError>>()?;
    let factors = Tensor::<B::InnerBackend, 1>::from_data(TensorData::new(factors, [examples]), &device);
    for part in parts {
        pending.add(part.id, part.gradients.weighted(factors.clone()), sum)?;
    }
    Ok(squared_norms.into_iter().map(f64::sqrt).collect())
}
