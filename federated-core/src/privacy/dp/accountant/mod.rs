//! Accountants: how much a number of noisy sums, taken together, can say about one unit.
//!
//! Every accountant counts for add-or-remove-one adjacency and rounds up: what it says may be more than was spent, never less.
//!
//! Read in this order: what was done ([`MechanismStep`], [`Composition`]); the three ways to count it, from the narrowest to
//! the widest use ([`gaussian`]: exact, where everyone takes part in each round; [`pld`]: close to exact, with sampling;
//! [`rdp`]: coarser, and for any mechanism whose Rényi divergences are known); one door to all three ([`Accountant`]); and the
//! way back, from a budget to the noise or the rounds ([`least_noise`], [`most_rounds`]). `tail` has the normal distribution far out.

mod calibration;
mod composition;
mod error;
pub mod gaussian;
pub mod pld;
pub mod rdp;
mod report;
mod tail;
#[cfg(test)]
mod tests;

pub use calibration::{LEAST_NOISE, MOST_NOISE, Target, least_noise, most_rounds, noise_within};
pub use composition::{Composition, MechanismStep};
pub use error::AccountantError;
pub use rdp::{RdpCurve, RdpEpsilon};
pub use report::{Accountant, Comparison, Spent, UnknownAccountant};
