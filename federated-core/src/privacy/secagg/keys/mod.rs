//! The keys of a session, what is derived from them, and the signatures that say whose they are.
//!
//! Three secrets are a participant's own for one session: [`MaskSecret`] (X25519, for the masks it shares with others),
//! [`SealSecret`] (X25519, for the shares it sends them) and [`SelfMaskSecret`] (32 bytes, for the mask that is its alone).
//! One is for life: [`SigningSecret`] (Ed25519), whose public half the others have pinned. [`pair_seed`] and
//! [`self_seed`] make a [`MaskSeed`](super::MaskSeed) of the secrets of a session.
//!
//! # Security
//! Secrets are overwritten when they are dropped, print nothing, and cannot be serialised. Copies that moves leave on the
//! stack, and the state inside the hash functions, are not overwritten.
//!
//! Read in this order: `bytes` (how keys and secrets of 32 bytes look), `agreement` (X25519), `seed`, `hkdf`,
//! `signing` (Ed25519), `error`.

mod agreement;
mod bytes;
mod error;
mod hkdf;
mod seed;
mod signing;
#[cfg(test)]
mod tests;

pub use agreement::{AgreementPublic, MaskSecret, SealSecret, agree};
pub use error::KeyError;
pub use hkdf::hkdf_sha256;
pub use seed::{Commitment, SelfMaskSecret, SessionId, pair_seed, self_seed};
pub use signing::{Signature, SigningSecret, VerifyingPublic};
