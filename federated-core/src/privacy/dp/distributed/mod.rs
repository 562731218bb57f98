//! Distributed noise: each participant adds a share of it before its vector is masked, so that nobody, not even the
//! coordinator, sees a sum without noise.
//!
//! Read in this order, which is that of a vector's way: [`Rotation`] spreads it out, so that no coordinate is large;
//! [`scale`] says how finely it can be counted in the modulus; [`Rounding`] makes integers of bounded length of it;
//! [`NoiseShare`] says how much noise one participant adds; [`DistributedGaussian`] and [`DistributedSkellam`] say
//! what the sum of it gives.
//!
//! # What is assumed
//! At least `least_survivors` vectors are in the sum, and at least all but a fraction `gamma` of these carry their
//! noise. Fewer survivors must mean no sum: secure aggregation's quorum is set to `least_survivors`. More noise than
//! that is only more private.
//!
//! # References
//! Kairouz, Liu, Steinke, *The distributed discrete Gaussian mechanism*, ICML 2021; Agarwal, Kairouz, Liu, *The
//! Skellam mechanism*, NeurIPS 2021.

mod error;
mod gaussian;
mod rotation;
mod rounding;
mod scale;
mod share;
mod skellam;
#[cfg(test)]
mod tests;

pub use error::DistributedError;
pub use gaussian::DistributedGaussian;
pub use rotation::Rotation;
pub use rounding::{RoundedNorms, Rounding};
pub use scale::{WRAP_MARGIN, scale};
pub use share::NoiseShare;
pub use skellam::DistributedSkellam;
