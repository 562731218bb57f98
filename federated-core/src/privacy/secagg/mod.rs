//! Secure aggregation: the coordinator learns the sum of a cohort's vectors, and nothing else about any one of them, also
//! when participants vanish on the way and when the coordinator lies after the keys are exchanged.
//!
//! Pairwise masking after Bonawitz et al. (CCS 2017), on the sparse graph of Bell et al. (CCS 2020) for large cohorts, with
//! keys bound to everything that was agreed on, identities that are pinned out of band, and a stage in which everyone signs
//! whose vectors are summed. `docs/secure-aggregation.md` has the protocol and the argument.
//!
//! Read in this order: what is agreed on ([`Terms`], [`Header`], [`Parameters`], [`Graph`]); what travels ([`ParticipantMessage`],
//! [`CoordinatorMessage`]); how
//! a model's change becomes a vector of integers ([`VectorPlan`]) and is masked ([`Mask`], [`apply`]); the keys and shares
//! behind the masks ([`keys`], [`mod@seal`], [`shamir`]); the two sides ([`participant`], [`coordinator`]); what
//! a second protocol would have to offer ([`CoordinatorProtocol`], [`ParticipantProtocol`]); how several sessions sum a cohort
//! in [`Groups`]; what everyone has in hand afterwards ([`SignedResult`]).
//!
//! | in the papers | here |
//! |---|---|
//! | `n`, `t`, `k`, gamma, delta | [`Parameters`], [`Fraction`] |
//! | `c_sk`, `c_pk` | [`SealSecret`], [`AdvertiseKeys::seal`] |
//! | `s_sk`, `s_pk` | [`MaskSecret`], [`AdvertiseKeys::mask`] |
//! | `b_u` | [`SelfMaskSecret`] |
//! | `e_(u,v)` | [`SealedShares`] |
//! | `U1`, `U2`, `U3` | [`Roster`], [`Delivery::shared`], [`Survivors`] |
//! | `y_u` | a vector after [`apply`] with [`ParticipantSession::masks`] |

pub mod coordinator;
mod graph;
mod groups;
mod header;
pub mod keys;
mod mask;
mod message;
mod parameters;
pub mod participant;
mod protocol;
mod quantize;
mod result;
mod roster;
pub mod seal;
pub mod shamir;
mod terms;
#[cfg(test)]
mod tests;
mod vector;

pub use coordinator::{CoordinatorSession, MessageAdmission, SessionError, UnmaskError, Unmasking};
pub use graph::{Graph, WindowError};
pub use groups::{GroupSum, Grouping, Groups};
pub use header::Header;
pub use keys::{
    AgreementPublic, Commitment, KeyError, MaskSecret, SealSecret, SelfMaskSecret, SessionId, Signature,
    SigningSecret, VerifyingPublic, pair_seed, self_seed,
};
pub use mask::{
    CHUNK_BYTES, KeystreamBuffer, Mask, MaskError, MaskSeed, Modulus, PreparedMask, Sign, add, apply,
};
pub use message::{
    AdvertiseKeys, Consistency, CoordinatorMessage, Delivery, Index, ParticipantMessage, RevealedShare,
    Roster, ShareKeys, Signatures, Stage, Survivors, Unmask, transcript,
};
pub use parameters::{Fraction, GraphKind, ParameterError, Parameters};
pub use participant::{ParticipantError, ParticipantSession, Reply, Site};
pub use protocol::{CoordinatorProtocol, ParticipantProtocol};
pub use quantize::RoundingSeed;
pub use result::{SignedResult, SumResult};
pub use roster::{Cohort, PinnedRoster, RosterError};
pub use seal::{SealError, SealedShares, SharePair, open, seal};
pub use shamir::{ShamirError, ShareValue, combine, split};
pub use terms::{Terms, TermsError};
pub use vector::{LEAST_VALUE_BITS, Totals, VectorEncoder, VectorError, VectorNoise, VectorPlan};
