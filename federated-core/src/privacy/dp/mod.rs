//! Differential privacy: what is released says little about any one unit, and how little is counted.
//!
//! Read in this order: the numbers everything is said in ([`quantities`]). `docs/differential-privacy.md` has the formulas
//! and what each bound assumes.

pub mod quantities;

pub use quantities::{ClipNorm, Delta, Epsilon, NoiseMultiplier, QuantityError, SamplingRate};
