//! Differential privacy: what is released says little about any one unit, and how little is counted.
//!
//! Read in this order: the numbers everything is said in ([`quantities`]); what rounds of noise spend ([`accountant`]).
//! `docs/differential-privacy.md` has the formulas and what each bound assumes.
//!
//! | in the papers | here |
//! |---|---|
//! | `sigma`, `z` | [`NoiseMultiplier`] |
//! | `q` | [`SamplingRate`] |
//! | `T` | [`MechanismStep::rounds`] |
//! | `C` | [`ClipNorm`] |
//! | `epsilon`, `delta` | [`Epsilon`], [`Delta`] |
//! | `RDP(alpha)` | [`RdpCurve`] |

pub mod accountant;
pub mod ledger;
pub mod quantities;

pub use accountant::{
    Accountant, AccountantError, Comparison, Composition, MechanismStep, RdpCurve, RdpEpsilon, Spent,
    UnknownAccountant,
};
pub use quantities::{ClipNorm, Delta, Epsilon, NoiseMultiplier, QuantityError, SamplingRate};
