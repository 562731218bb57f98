use std::num::NonZeroUsize;

use burn::{module::Module, optim::GradientsParams, tensor::backend::AutodiffBackend};
use federated_core::privacy::dp::ClipNorm;

use super::{
    PrivateError, PrivateModule,
    check::check_layers,
    exact, ghost,
    pending::Pending,
    sum::{ClippedSum, Places},
};
use crate::dataset::Dataset;

/// How the gradients of single examples are clipped. Both give the same sum, to 1 part in 100,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GradientMethod {
    /// One example after another: slow, and right for whatever a module does with its layers.
    Exact,
    /// So many examples at once, without making their gradients where that costs more than what they are made of. It needs
    /// memory for the activations of so many examples.
    Ghost {
        /// How many at once.
        at_once: NonZeroUsize,
    },
}

impl Default for GradientMethod {
    /// 16 at once: what is known of so many small images stays in a processor's cache.
    fn default() -> Self {
        Self::Ghost { at_once: NonZeroUsize::MIN.saturating_add(15) }
    }
}

/// The sum of a module's gradients over examples, each clipped by itself.
///
/// # Privacy
/// It has no noise in it: whatever is made of it without noise is not private.
pub struct ClippedGradients {
    sum: ClippedSum,
    clip: ClipNorm,
    method: GradientMethod,
}

impl ClippedGradients {
    /// Nothing summed yet, for a module with these parameters.
    ///
    /// # Errors
    /// [`PrivateError`] when the module has a layer that cannot be trained with privacy.
    pub fn new<B: AutodiffBackend, M: PrivateModule<B>>(
        module: &M,
        clip: ClipNorm,
        method: GradientMethod,
    ) -> Result<Self, PrivateError> {
        check_layers(module)?;
        Ok(Self { sum: ClippedSum::new(Places::of(module)), clip, method })
    }

    /// Sets the sum to zero.
    pub fn clear(&mut self) {
        self.sum.clear();
    }

    /// Adds the clipped gradients of the examples of these numbers.
    ///
    /// # Errors
    /// [`PrivateError`]; the sum is spoilt then.
    pub fn add<B, M, D>(
        &mut self,
        module: &M,
        dataset: &D,
        indices: &[usize],
        device: &B::Device,
    ) -> Result<(), PrivateError>
    where
        B: AutodiffBackend,
        M: PrivateModule<B>,
        D: Dataset<B, Batch = M::Batch>,
    {
        self.add_with_norms(module, dataset, indices, device).map(drop)
    }

    /// Adds, and gives the length of each example's gradient before it was clipped.
    pub(super) fn add_with_norms<B, M, D>(
        &mut self,
        module: &M,
        dataset: &D,
        indices: &[usize],
        device: &B::Device,
    ) -> Result<Vec<f64>, PrivateError>
    where
        B: AutodiffBackend,
        M: PrivateModule<B>,
        D: Dataset<B, Batch = M::Batch>,
    {
        let at_once = match self.method {
            GradientMethod::Exact => NonZeroUsize::MIN,
            GradientMethod::Ghost { at_once } => at_once,
        };
        let mut norms = Vec::with_capacity(indices.len());
        let mut pending = Pending::new();
        for chunk in indices.chunks(at_once.get()) {
            let batch = dataset.batch(chunk, device).map_err(|source| PrivateError::Dataset { source })?;
            match self.method {
                GradientMethod::Exact => {
                    norms.push(exact::accumulate(module, batch, self.clip, &mut self.sum)?)
                }
                GradientMethod::Ghost { .. } => {
                    let sum = (&mut self.sum, &mut pending);
                    norms.extend(ghost::accumulate(module, batch, chunk.len(), self.clip, sum)?);
                }
            }
        }
        pending.settle(&mut self.sum)?;
        Ok(norms)
    }

    /// The sum, parameter after parameter in the order in which burn visits those that train.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        self.sum.values()
    }

    /// The sum, for noise to be added.
    pub fn values_mut(&mut self) -> &mut [f64] {
        self.sum.values_mut()
    }

    /// The sum times `scale`, as an optimiser takes it.
    pub fn scaled<B: AutodiffBackend, M: Module<B>>(&self, module: &M, scale: f64) -> GradientsParams {
        self.sum.gradients(module, scale)
    }
}

impl std::fmt::Debug for ClippedGradients {
    /// Sizes only: the sum is private.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("ClippedGradients");
        out.field("values", &self.sum.values().len()).field("method", &self.method).finish_non_exhaustive()
    }
}
