//! What a module is asked before it trains.

use std::collections::HashSet;

use burn::{
    module::{ModuleVisitor, Param, ParamId},
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use federated_core::privacy::dp::ClipNorm;

use super::{
    ClippedGradients, GradientMethod, Plain, PrivateError, PrivateModule,
    sum::{floats, read},
};
use crate::{dataset::Dataset, parameters::Path};

/// The largest difference of a loss alone and in a batch, relative: far above rounding.
const LOSS_TOLERANCE: f64 = 1e-3;
/// The largest difference of the two ways to clip, relative: far above rounding.
const GRADIENT_TOLERANCE: f64 = 1e-3;

/// That each parameter that trains is one of a layer whose gradients per example are known, and that nothing normalises batches.
///
/// # Errors
/// The first layer that cannot be trained with privacy, and what to use instead.
pub(super) fn check_layers<B: AutodiffBackend, M: PrivateModule<B>>(module: &M) -> Result<(), PrivateError> {
    let known = module.layers().into_iter().flat_map(super::PrivateLayer::parameters).collect();
    let mut visitor =
        LayersVisitor { path: Path::default(), kinds: Vec::new(), known, trained: 0, failure: None };
    module.visit(&mut visitor);
    match visitor.failure {
        Some(failure) => Err(failure),
        None if visitor.trained == 0 => Err(PrivateError::NothingTrains),
        None => Ok(()),
    }
}

struct LayersVisitor {
    path: Path,
    /// The type of each module on the way here.
    kinds: Vec<String>,
    known: HashSet<ParamId>,
    trained: usize,
    failure: Option<PrivateError>,
}

impl<B: Backend> ModuleVisitor<B> for LayersVisitor {
    fn enter_module(&mut self, name: &str, kind: &str) {
        if kind.ends_with(":BatchNorm") && self.failure.is_none() {
            self.failure = Some(PrivateError::BatchNormalisation { layer: self.path.name() });
        }
        self.path.enter(name);
        self.kinds.push(kind.rsplit(':').next().unwrap_or(kind).to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
        self.kinds.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if !param.val().is_require_grad() {
            return;
        }
        self.trained += 1;
        if !self.known.contains(&param.id) && self.failure.is_none() {
            let kind = self.kinds.last().cloned().unwrap_or_default();
            self.failure = Some(PrivateError::UnknownLayer { parameter: self.path.name(), kind });
        }
    }
}

/// That the module works on each example by itself, by trying two: the loss of each alone is its loss in a batch, and both ways to
/// clip agree.
///
/// It finds what types cannot: a mean over the batch between two layers, a layer that is used past the tape.
///
/// # Errors
/// What was found.
pub(super) fn check_examples<B, M, D>(
    module: &M,
    dataset: &D,
    device: &B::Device,
    method: GradientMethod,
) -> Result<(), PrivateError>
where
    B: AutodiffBackend,
    M: PrivateModule<B>,
    D: Dataset<B, Batch = M::Batch>,
{
    if dataset.len() < 2 {
        return Ok(());
    }
    let losses = |indices: &[usize]| {
        let batch = dataset.batch(indices, device).map_err(|source| PrivateError::Dataset { source })?;
        let losses = read(module.losses(batch, &mut Plain).inner())?;
        let losses: Vec<f64> = floats(&losses)?.iter().map(|loss| f64::from(*loss)).collect();
        if losses.len() == indices.len() {
            return Ok(losses);
        }
        Err(PrivateError::Examples { place: "losses", expected: indices.len(), found: losses.len() })
    };
    let together = losses(&[0, 1])?;
    for (example, together) in together.into_iter().enumerate() {
        let alone = losses(&[example])?.into_iter().next().unwrap_or(f64::NAN);
        // A NaN is not within anything; training finds it with a better message.
        if (together - alone).abs() > LOSS_TOLERANCE * (1.0 + alone.abs()) {
            return Err(PrivateError::Dependent { example });
        }
    }
    if method == GradientMethod::Exact {
        return Ok(());
    }
    let sum = |method, clip| -> Result<(Vec<f64>, f64), PrivateError> {
        let mut sum = ClippedGradients::new(module, clip, method)?;
        let norms = sum.add_with_norms(module, dataset, &[0, 1], device)?;
        let longest = norms.into_iter().fold(0.0, f64::max);
        Ok((sum.values().to_vec(), longest))
    };
    let Ok(clip) = ClipNorm::new(1.0) else { return Ok(()) };
    let ((exact, _), (ghost, _)) = (sum(GradientMethod::Exact, clip)?, sum(method, clip)?);
    let length =
        |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = length(&mut exact.iter().zip(&ghost).map(|(exact, ghost)| exact - ghost));
    let difference = difference / length(&mut exact.iter().copied()).max(f64::MIN_POSITIVE);
    if difference > GRADIENT_TOLERANCE { Err(PrivateError::Disagreement { difference }) } else { Ok(()) }
}
