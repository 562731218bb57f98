//! Differential privacy: what is released says little about any one unit, and how little is counted.
//!
//! Read in this order: the numbers everything is said in ([`quantities`]); the noise ([`sampler`]); what is clipped
//! before it ([`mod@clip`]) and how the norm is found ([`adaptive`]); noise that is shared out ([`distributed`]), and
//! noise that cancels over rounds ([`ftrl`]). `docs/differential-privacy.md` has the formulas and what each bound
//! assumes.

pub mod adaptive;
pub mod clip;
pub mod distributed;
pub mod ftrl;
pub mod quantities;
pub mod sampler;

pub use adaptive::{AdaptiveClipping, AdaptiveError};
pub use clip::{ClipError, Clipped, Clipping, clip};
pub use ftrl::{BandedSquareRoot, CorrelatedNoise};
pub use quantities::{ClipNorm, Delta, Epsilon, NoiseMultiplier, QuantityError, SamplingRate};
pub use sampler::{DiscreteGaussian, GridNoise, Keystream, SamplerError, Skellam, Variance};
