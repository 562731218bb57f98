//! Noise: exact discrete distributions over a ChaCha20 keystream, for vectors of a billion elements.
//!
//! Read in this order: [`Keystream`], where the randomness comes from, and [`NoiseSeed`], what it comes from; [`Variance`], a parameter that is a fraction;
//! [`DiscreteGaussian`] and [`Skellam`], the distributions; [`GridNoise`], which noises real numbers with them. Below
//! them: `strips`, the engine; `alias`, how it chooses; `exponential` and `interval`, the quick and the slow way to
//! bound a probability.
//!
//! # Why integers
//! A sum of floating-point numbers tells in its lowest bits what was summed: noise from `ln`, `cos` and their like
//! has gaps, and whoever sees a value that the noise on one neighbour cannot produce knows it was the other. So noise
//! here is integers, and no floating-point number takes part in a decision but as a bound that is proven.
//!
//! # Exactness
//! Each distribution `p` is drawn by rejection from strips. A strip is `2^b` integers; its weight `w` is an integer
//! and all weights sum to 2^64, so that one word and a table of integers choose a strip with probability exactly `w /
//! 2^64`, and `b` more bits an integer `y` of it. It is accepted with probability `a = scale p(y) / (p(mode) w)`,
//! which weights are made large enough to keep below 1. Beyond the strips the two tails are cut into blocks of which
//! each is half as likely as the one before. Whatever the weights are, what is accepted is distributed exactly as
//! `p`: they decide how often it is rejected, and no more.
//!
//! Accepting with probability `a` is asking whether a uniform number `U` is below `a`. `U` is read bit by bit, as far
//! as needed: its first 64 bits against the least that `a` is in the strip; then against bounds of `a` from
//! arithmetic on 128 bits; and where they do not tell, which happens once in 2^50 samples (2^30 for a Poisson
//! number), against bounds of 64 more bits each time, in integers of any size. So each decision is that of a real
//! number `U` and the true `a`, provided that the bounds hold, which is argued beside each. The statistical distance
//! from the stated distribution is zero: nothing is to be charged to delta.
//!
//! # What this does not cover
//! How long a sample takes depends on its value a little (rejections, and the farther out the likelier a longer
//! decision). Whoever can time single samples learns something of the noise; from the time that a whole vector takes,
//! nobody does.
//!
//! # References
//! Canonne, Kamath, Steinke, NeurIPS 2020 (the distribution, and exact sampling); Mironov, CCS 2012 (why
//! floating-point noise is not private); Walker 1977 (alias tables); Karney, TOMS 2016 (reading a uniform number as
//! far as needed).

mod alias;
mod error;
mod exponential;
mod gaussian;
mod grid;
mod interval;
mod keystream;
mod poisson;
mod seed;
mod skellam;
mod strips;
#[cfg(test)]
mod tests;
mod variance;

pub use error::SamplerError;
pub use gaussian::DiscreteGaussian;
pub use grid::GridNoise;
pub use keystream::Keystream;
pub use seed::NoiseSeed;
pub use skellam::Skellam;
pub use variance::Variance;
