use std::collections::HashMap;

use burn::{
    module::{Module, ModuleVisitor, Param, ParamId},
    optim::GradientsParams,
    tensor::{
        Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};

use super::PrivateError;
use crate::parameters::Path;

/// One parameter that trains: its place in the sum.
#[derive(Clone, Debug)]
struct Place {
    id: ParamId,
    name: String,
    start: usize,
    len: usize,
}

/// Where each parameter that trains lies in one long vector.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    places: Vec<Place>,
    index: HashMap<ParamId, usize>,
    len: usize,
}

impl Places {
    /// Those of a module's float parameters that train, in the order in which burn visits them.
    pub(super) fn of<B: Backend, M: Module<B>>(module: &M) -> Self {
        let mut visitor = PlacesVisitor::default();
        module.visit(&mut visitor);
        visitor.places
    }

    /// How many values there are in all.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The parameters and their paths.
    pub(super) fn names(&self) -> Vec<(ParamId, &str)> {
        self.places.iter().map(|place| (place.id, place.name.as_str())).collect()
    }

    fn range(&self, id: ParamId) -> Option<std::ops::Range<usize>> {
        let place = self.places.get(*self.index.get(&id)?)?;
        Some(place.start..place.start + place.len)
    }
}

#[derive(Default)]
struct PlacesVisitor {
    path: Path,
    places: Places,
}

impl<B: Backend> ModuleVisitor<B> for PlacesVisitor {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let tensor = param.val();
        // A parameter that two layers share is visited twice.
        if tensor.is_require_grad() && !self.places.index.contains_key(&param.id) {
            let (start, len) = (self.places.len, tensor.shape().num_elements());
            self.places.index.insert(param.id, self.places.places.len());
            self.places.places.push(Place { id: param.id, name: self.path.name(), start, len });
            self.places.len += len;
        }
    }
}

/// The sum of clipped gradients, in 64 bits.
///
/// Sums of 32-bit floats round by amounts that depend on everything in them: in 64 bits what one example changes is its own
/// gradient to 1 part in 2^53 of the sum.
#[derive(Clone)]
pub(super) struct ClippedSum {
    places: Places,
    values: Vec<f64>,
}

impl ClippedSum {
    pub(super) fn new(places: Places) -> Self {
        let values = vec![0.0; places.len()];
        Self { places, values }
    }

    pub(super) const fn places(&self) -> &Places {
        &self.places
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(super) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    pub(super) fn clear(&mut self) {
        self.values.fill(0.0);
    }

    /// Adds a tensor of the parameter's elements.
    pub(super) fn add<I: Backend, const D: usize>(
        &mut self,
        id: ParamId,
        tensor: Tensor<I, D>,
    ) -> Result<(), PrivateError> {
        self.add_data(id, &read(tensor)?, 1.0)
    }

    /// Adds values of the parameter that were read, each times `factor`.
    pub(super) fn add_data(
        &mut self,
        id: ParamId,
        data: &TensorData,
        factor: f64,
    ) -> Result<(), PrivateError> {
        let values = floats(data)?;
        if let Some(sums) = self.places.range(id).and_then(|range| self.values.get_mut(range)) {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value) * factor);
        }
        Ok(())
    }

    /// What an optimiser takes: the values times `scale`, by parameter.
    #[expect(clippy::cast_possible_truncation, reason = "rounding what has noise in it gives nothing away")]
    pub(super) fn gradients<B: AutodiffBackend, M: Module<B>>(
        &self,
        module: &M,
        scale: f64,
    ) -> GradientsParams {
        let values = self.values.iter().map(|value| (value * scale) as f32).collect();
        let mut visitor =
            GradientsVisitor { places: &self.places, values, gradients: GradientsParams::new() };
        module.visit(&mut visitor);
        visitor.gradients
    }
}

struct GradientsVisitor<'a> {
    places: &'a Places,
    values: Vec<f32>,
    gradients: GradientsParams,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for GradientsVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(values) = self.places.range(param.id).and_then(|range| self.values.get(range)) {
            let tensor = param.val().inner();
            let data = TensorData::new(values.to_vec(), tensor.shape());
            let gradient = Tensor::<B::InnerBackend, D>::from_data(data, (&tensor.device(), tensor.dtype()));
            self.gradients.register(param.id, gradient);
        }
    }
}

/// The tensor's values on this side of the device.
pub(super) fn read<I: Backend, const D: usize>(tensor: Tensor<I, D>) -> Result<TensorData, PrivateError> {
    Ok(tensor.try_into_data().map_err(|source| PrivateError::Unreadable { source })?.convert::<f32>())
}

/// The values of data that was read.
pub(super) fn floats(data: &TensorData) -> Result<&[f32], PrivateError> {
    data.as_slice::<f32>().map_err(|_| PrivateError::Elements { found: format!("{:?}", data.dtype) })
}

/// What the gradient of this length is multiplied with: the lesser of 1 and `clip` by the length.
///
/// The length is taken to be larger by 2^-14 of itself, more than 32-bit floats lose in products and sums, so that what
/// is clipped is never longer than `clip`.
pub(super) fn factor(squared_norm: f64, clip: f64) -> Result<f64, PrivateError> {
    // Not finite: NaN as well.
    if !squared_norm.is_finite() || squared_norm < 0.0 {
        return Err(PrivateError::NotFinite);
    }
    let length = squared_norm.sqrt() * (1.0 + MARGIN);
    Ok(if length <= clip { 1.0 } else { clip / length })
}

const MARGIN: f64 = 1.0 / 16_384.0;
