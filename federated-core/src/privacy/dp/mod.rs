//! Differential privacy: what is released says little about any one unit, and how little is counted.
//!
//! Read in this order: the numbers everything is said in ([`quantities`]); what rounds of noise spend ([`accountant`]); the
//! noise ([`sampler`]); what is clipped before it ([`mod@clip`]) and how the norm is found ([`adaptive`]); noise on a mean of
//! updates ([`central`]), noise that is shared out ([`distributed`]), and noise that cancels over rounds ([`ftrl`]); what was
//! spent, and what may still be ([`ledger`]); what a job says about all this ([`terms`]); what is measured of a run ([`audit`]);
//! what is told about all of it ([`report`]).
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
//! | `N_Z(0, sigma^2)` | [`DiscreteGaussian`] |
//! | `Sk(mu)` | [`Skellam`] |
//! | `z_delta`, `s_b` | [`AdaptiveClipping::update_noise`], [`AdaptiveClipping::bit_noise`] |

pub mod accountant;
pub mod adaptive;
pub mod audit;
pub mod central;
pub mod clip;
pub mod distributed;
pub mod ftrl;
pub mod ledger;
pub mod quantities;
pub mod report;
pub mod sampler;
pub mod terms;

pub use accountant::{
    Accountant, AccountantError, Comparison, Composition, MechanismStep, RdpCurve, RdpEpsilon, Spent, Target,
    UnknownAccountant, least_noise, most_rounds, noise_within,
};
pub use adaptive::{AdaptiveClipping, AdaptiveError};
pub use central::CentralNoise;
pub use clip::{ClipError, Clipped, Clipping, clip};
pub use ftrl::{BandedSquareRoot, CorrelatedNoise};
pub use quantities::{ClipNorm, Delta, Epsilon, NoiseMultiplier, QuantityError, SamplingRate};
pub use sampler::{DiscreteGaussian, GridNoise, Keystream, NoiseSeed, SamplerError, Skellam, Variance};
