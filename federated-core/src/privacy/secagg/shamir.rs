//! A secret in shares, of which a threshold gives it back and fewer say nothing about it.
//!
//! Every byte of the secret is the constant of a polynomial of its own over GF(2^8), whose other coefficients are
//! random; share `x` is the value of these polynomials at `x`, which is never 0. So there are at most 255 shares.
//! The field is that of AES: bits are coefficients, modulo z^8 + z^4 + z^3 + z + 1 (0x11B). All arithmetic on secrets
//! takes the same time whatever they are.
//!
//! # Security
//! A share that was changed is not noticed here: it gives another secret. Whoever combines shares must hold the result
//! against something that was promised before, and may then look for the liar with [`share_at`].
//!
//! # References
//! Shamir, "How to share a secret", CACM 1979; McGrew, draft-mcgrew-tss.

use std::{collections::BTreeSet, fmt};

use rand_chacha::rand_core::CryptoRng;
use vsss_rs::Gf256;
use zeroize::Zeroizing;

use crate::fault::Fault;

/// Bytes of a secret, and of each of its shares.
const SECRET_BYTES: usize = 32;

/// One holder's share of a secret of 32 bytes, without the place `x` that it belongs to.
#[cfg_attr(test, derive(Clone))]
pub struct ShareValue(Zeroizing<[u8; SECRET_BYTES]>);

impl ShareValue {
    /// A share as it was handed out.
    #[must_use]
    pub fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The 32 bytes. They are secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }
}

impl fmt::Debug for ShareValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareValue(..)")
    }
}

/// Why a secret cannot be shared out, or not be put together again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShamirError {
    /// No secret can be shared out like this.
    #[error("expected a threshold of 2 to {holders}, the number of holders, found {threshold}")]
    Threshold {
        /// How many shares should give the secret back.
        threshold: usize,
        /// How many shares there should be.
        holders: usize,
    },
    /// There are not enough shares.
    #[error("expected at least {expected} shares, found {found}")]
    TooFew {
        /// The threshold.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A share claims the place where the secret itself is.
    #[error("expected shares at places 1 to 255, found one at 0")]
    AtZero,
    /// Two shares are for the same place.
    #[error("expected one share for each place, found two for {x}")]
    Twice {
        /// The place.
        x: u8,
    },
    /// Two shares of one secret, or a coefficient and the secret, differ in length.
    #[error("expected {expected} bytes, found {found}")]
    Length {
        /// How long the result is.
        expected: usize,
        /// How long the other one is.
        found: usize,
    },
}

impl ShamirError {
    /// Whose fault it is: thresholds are the caller's, shares a peer's.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Threshold { .. } => Fault::Caller,
            Self::TooFew { .. } | Self::AtZero | Self::Twice { .. } => Fault::Peer,
            Self::Length { .. } => Fault::Bug,
        }
    }
}

/// Shares `secret` out to `holders` holders, of whom any `threshold` can give it back. The share at index i is for
/// place `x` = i + 1.
///
/// # Errors
/// [`ShamirError::Threshold`] unless 2 <= `threshold` <= `holders`.
pub fn split(
    secret: &[u8; SECRET_BYTES],
    threshold: u8,
    holders: u8,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<ShareValue>, ShamirError> {
    check_threshold(threshold.into(), holders.into())?;
    let mut coefficients = vec![Zeroizing::new([0; SECRET_BYTES]); usize::from(threshold) - 1];
    coefficients.iter_mut().for_each(|coefficient| rng.fill_bytes(coefficient.as_mut()));
    let polynomial: Vec<&[u8]> =
        std::iter::once(&secret[..]).chain(coefficients.iter().map(|coefficient| &coefficient[..])).collect();
    (1..=holders).map(|x| share(|value| evaluate(&polynomial, x, value))).collect()
}

/// Puts the secret together from the first `threshold` shares, each with its place `x`.
///
/// # Errors
/// [`ShamirError`] when there are fewer, or any share is at 0 or at the place of another one.
pub fn combine(
    threshold: u8,
    shares: &[(u8, &ShareValue)],
) -> Result<Zeroizing<[u8; SECRET_BYTES]>, ShamirError> {
    share_at(threshold, shares, 0).map(|secret| secret.0)
}

/// The share at place `x` that fits the first `threshold` of these, so that a holder whose share is another one can be
/// named. At place 0 it is the secret.
///
/// # Errors
/// As [`combine`].
pub fn share_at(threshold: u8, shares: &[(u8, &ShareValue)], x: u8) -> Result<ShareValue, ShamirError> {
    check_threshold(threshold.into(), 255)?;
    let points: Vec<(u8, &[u8])> = shares.iter().map(|(x, share)| (*x, &share.as_bytes()[..])).collect();
    let enough = points
        .get(..threshold.into())
        .ok_or(ShamirError::TooFew { expected: threshold.into(), found: points.len() })?;
    check_places(&points)?;
    share(|value| interpolate(enough, x, value))
}

const fn check_threshold(threshold: usize, holders: usize) -> Result<(), ShamirError> {
    if threshold < 2 || threshold > holders {
        return Err(ShamirError::Threshold { threshold, holders });
    }
    Ok(())
}

fn check_places(points: &[(u8, &[u8])]) -> Result<(), ShamirError> {
    let mut seen = BTreeSet::new();
    points.iter().try_for_each(|(x, _)| match *x {
        0 => Err(ShamirError::AtZero),
        x if seen.insert(x) => Ok(()),
        x => Err(ShamirError::Twice { x }),
    })
}

fn share(fill: impl FnOnce(&mut [u8]) -> Result<(), ShamirError>) -> Result<ShareValue, ShamirError> {
    let mut value = ShareValue::from_bytes([0; SECRET_BYTES]);
    fill(value.0.as_mut())?;
    Ok(value)
}

/// The value at `x` of polynomials that are given by their coefficients, the constants first: byte i of each
/// coefficient belongs to polynomial i. Secrets of any length; [`split`] is this with random coefficients.
///
/// # Errors
/// [`ShamirError::Length`] when a coefficient is not as long as `value`.
pub fn evaluate(polynomial: &[&[u8]], x: u8, value: &mut [u8]) -> Result<(), ShamirError> {
    value.fill(0);
    for coefficient in polynomial.iter().rev() {
        check_length(value, coefficient)?;
        for (value, coefficient) in value.iter_mut().zip(*coefficient) {
            *value = (Gf256(*value) * Gf256(x) + Gf256(*coefficient)).0;
        }
    }
    Ok(())
}

/// The value at `x` of the polynomials of least degree through all these points. Secrets of any length; at `x` = 0 it
/// is the secret that a threshold of shares gives back.
///
/// # Errors
/// [`ShamirError`] when a point is at 0 or at the place of another one, or not as long as `value`.
pub fn interpolate(points: &[(u8, &[u8])], x: u8, value: &mut [u8]) -> Result<(), ShamirError> {
    check_places(points)?;
    value.fill(0);
    for (place, point) in points {
        check_length(value, point)?;
        let weight = weight(points, *place, x);
        for (value, point) in value.iter_mut().zip(*point) {
            *value = (Gf256(*value) + Gf256(*point) * weight).0;
        }
    }
    Ok(())
}

/// What the value at `place` counts for in the value at `x`, of points at different places. Places are public, so this may take a time that depends on
/// them.
fn weight(points: &[(u8, &[u8])], place: u8, x: u8) -> Gf256 {
    let others = || points.iter().map(|(other, _)| *other).filter(|other| *other != place);
    let over: Gf256 = others().map(|other| Gf256(x) - Gf256(other)).product();
    let under: Gf256 = others().map(|other| Gf256(place) - Gf256(other)).product();
    // Places were checked to differ, so this is not a division by 0. The crate's `pow` must not be used for an inverse:
    // it multiplies integers, not elements.
    over / under
}

const fn check_length(value: &[u8], found: &[u8]) -> Result<(), ShamirError> {
    if value.len() == found.len() {
        return Ok(());
    }
    Err(ShamirError::Length { expected: value.len(), found: found.len() })
}

#[cfg(test)]
mod tests;
