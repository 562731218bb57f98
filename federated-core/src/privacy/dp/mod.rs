//! Differential privacy: what is released says little about any one unit, and how little is counted.
//!
//! Read in this order: the numbers everything is said in ([`quantities`]); what rounds of noise spend ([`accountant`]); the
//! noise ([`sampler`]); what is clipped before it ([`mod@clip`]) and how the norm is found ([`adaptive`]); noise that is
//! shared out ([`distributed`]), and noise that cancels over rounds ([`ftrl`]); what was spent, and what may still be
//! ([`ledger`]). `docs/differential-privacy.md` has the
//! formulas and what each bound assumes.
//!
//! | in the papers | here |
//! |---|---|
//! | `sigma`, `z` | [`NoiseMultiplier`] |
//! | `q` | [`SamplingRate`] |
//! | `T` | [`MechanismStep::rounds`] |
//! | `C` | [`ClipNorm`] |
//! | `epsilon`, `delta` | [`Epsilon`], [`Delta`] |
//! | `RDP(alpha)` | [`RdpCurve`] |
//! | `N_Z(0, sigma^2)` | [`DiscreteGaussian`] |
//! | `Sk(mu)` | [`Skellam`] |
//! | `z_delta`, `s_b` | [`AdaptiveClipping::update_noise`], [`AdaptiveClipping::bit_noise`] |

pub mod accountant;
pub mod adaptive;
pub mod clip;
pub mod distributed;
pub mod ftrl;
pub mod ledger;
pub mod quantities;
pub mod sampler;

pub use accountant::{
    Accountant, AccountantError, Comparison, Composition, MechanismStep, RdpCurve, RdpEpsilon, Spent, Target,
    UnknownAccountant, least_noise, most_rounds,
};
pub use adaptive::{AdaptiveClipping, AdaptiveError};
pub use clip::{ClipError, Clipped, Clipping, clip};
pub use ftrl::{BandedSquareRoot, CorrelatedNoise};
pub use quantities::{ClipNorm, Delta, Epsilon, NoiseMultiplier, QuantityError, SamplingRate};
pub use sampler::{DiscreteGaussian, GridNoise, Keystream, SamplerError, Skellam, Variance};
