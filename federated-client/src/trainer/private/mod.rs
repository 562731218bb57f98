//! Training that says little about any one example: stochastic gradient descent with differential privacy.
//!
//! Every step draws a batch in which each example is with the same chance, by itself ([`PoissonBatches`]); takes the
//! gradient of each example by itself and clips it to a norm over all tensors together; adds Gaussian noise to the sum
//! ([`NoiseSource`]); and divides by the size that a batch is expected to have. Only then is there anything that an
//! optimiser sees.
//!
//! Read in this order:
//! - [`PrivateModule`]: a burn module that can be trained so; [`Tape`], what its forward pass goes through: [`Plain`], as
//!   if it was not there, or [`Recording`]; `layers`: what is recorded of each layer, and the one list of layers that can be;
//! - `sum`: the clipped sum, in 64 bits; `exact`, one example after another; `ghost`, several at once with the same result, and
//!   `pending`, what of it waits to be multiplied; [`ClippedGradients`] is either;
//! - `check`: what a module is asked before it trains: batch normalisation is refused here;
//! - [`Sampling`] and [`DpSgd`], the numbers of it; [`PrivateTrainer`], a participant's local work with it, and [`PrivateWork`], what of it
//!   a ledger has to count.
//!
//! Nothing here knows a budget: who spends it asks before and counts after.
//!
//! # References
//! Abadi et al., *Deep learning with differential privacy*, CCS 2016 (the mechanism); Goodfellow, *Efficient per-example gradient
//! computations*, 2015; Rochette, Manoel, Tramel, *Efficient per-example gradient computations in convolutional neural networks*, 2019;
//! Li et al., *Large language models can be strong differentially private learners*, ICLR 2022 (ghost clipping of sequences); Bu et
//! al., *Differentially private optimization on large model at small cost*, ICML 2023 (book-keeping: one backward pass).

mod check;
mod clipped;
mod error;
mod exact;
mod ghost;
mod layers;
mod mechanism;
mod module;
mod noise;
mod pending;
mod poisson;
mod private_trainer;
mod randomness;
mod sum;
mod tape;
#[cfg(test)]
mod tests;

pub use clipped::{ClippedGradients, GradientMethod};
pub use error::PrivateError;
pub use mechanism::{DpSgd, PrivateWork, Sampling};
pub use module::{PrivateLayer, PrivateModule};
pub use noise::{ExactNoise, NoiseSource};
pub use poisson::PoissonBatches;
pub use private_trainer::PrivateTrainer;
pub use randomness::Randomness;
pub use tape::{Plain, Recording, Tape};
