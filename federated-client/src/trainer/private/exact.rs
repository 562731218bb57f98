use burn::{
    module::{ModuleVisitor, Param, ParamId},
    optim::GradientsParams,
    tensor::{Tensor, TensorData, backend::AutodiffBackend},
};
use federated_core::privacy::dp::ClipNorm;

use super::{
    Plain, PrivateError, PrivateModule,
    sum::{ClippedSum, factor, floats, read},
};

/// Adds the clipped gradient of one example, `batch`, to the sum.
///
/// The gradient is the whole batch's, so nothing has to be known of the layers: what the other way is measured by.
pub(super) fn accumulate<B: AutodiffBackend, M: PrivateModule<B>>(
    module: &M,
    batch: M::Batch,
    clip: ClipNorm,
    sum: &mut ClippedSum,
) -> Result<f64, PrivateError> {
    let losses = module.losses(batch, &mut Plain);
    if losses.dims() != [1] {
        return Err(PrivateError::Examples { place: "losses", expected: 1, found: losses.dims()[0] });
    }
    let gradients = GradientsParams::from_grads(losses.backward(), module);
    let mut visitor = ReadVisitor { gradients, read: Vec::new(), squared_norm: 0.0, failure: None };
    module.visit(&mut visitor);
    visitor.failure.map_or(Ok(()), Err)?;
    let factor = factor(visitor.squared_norm, clip.get())?;
    for (id, data) in visitor.read {
        sum.add_data(id, &data, factor)?;
    }
    Ok(visitor.squared_norm.sqrt())
}

/// Reads the gradients and sums their squares, in 64 bits.
struct ReadVisitor {
    gradients: GradientsParams,
    read: Vec<(ParamId, TensorData)>,
    squared_norm: f64,
    failure: Option<PrivateError>,
}

impl ReadVisitor {
    fn take<B: AutodiffBackend, const D: usize>(&mut self, id: ParamId) -> Result<(), PrivateError> {
        // A parameter that the loss does not depend on has none.
        let Some(gradient) = self.gradients.remove::<B::InnerBackend, D>(id) else { return Ok(()) };
        let data = read(gradient)?;
        let values = floats(&data)?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(PrivateError::NotFinite);
        }
        self.squared_norm += sum_of_squares(values);
        self.read.push((id, data));
        Ok(())
    }
}

impl<B: AutodiffBackend> ModuleVisitor<B> for ReadVisitor {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if self.failure.is_none() {
            self.failure = self.take::<B, D>(param.id).err();
        }
    }
}

/// In eight lanes, for vector instructions.
fn sum_of_squares(values: &[f32]) -> f64 {
    let (lanes, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for values in lanes {
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value) * f64::from(*value));
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>()
}
