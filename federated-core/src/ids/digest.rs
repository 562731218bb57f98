use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{IdError, cut};

/// What 32 bytes written as 64 hexadecimal digits can do.
macro_rules! thirty_two_bytes {
    ($name:ident) => {
        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                <[u8; 32]>::try_from(bytes)
                    .map(Self)
                    .map_err(|_| IdError::DigestLength { found: bytes.len() })
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                from_hex(text).map(Self).ok_or_else(|| IdError::Digest { found: cut(text) })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// A BLAKE3 digest: the address of a content, of a model's or an update's bytes.
///
/// Contents are large and are digested at both ends of every transfer, so the digest must be faster than the network:
/// BLAKE3 is several times faster than SHA-256 on the same core (docs/adr/0005).
///
/// # References
/// O'Connor et al., "BLAKE3: one function, fast everywhere", 2020.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

thirty_two_bytes!(Digest);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// Computes a [`Digest`] over bytes that arrive in pieces.
#[derive(Clone, Default)]
pub struct DigestBuilder(blake3::Hasher);

impl DigestBuilder {
    /// Nothing digested yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes. How the bytes are cut into pieces does not matter for the result; pieces of 64 KiB and more
    /// are digested fastest.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything added.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

impl fmt::Debug for DigestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestBuilder(BLAKE3)")
    }
}

/// A SHA-256 digest (FIPS 180-4): names a certificate, as every other tool does, and draws lots from names and seeds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint([u8; 32]);

thirty_two_bytes!(Fingerprint);

impl Fingerprint {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
        Self(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_match_fips_180_4_examples() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Fingerprint::of(b"abc").to_string(), abc);
        assert_eq!(abc.parse::<Fingerprint>().unwrap(), Fingerprint::of(b"abc"));
    }

    /// From the BLAKE3 team's `test_vectors.json`: input bytes 0, 1, ..., 250, 0, 1, ...
    #[test]
    fn digests_match_the_published_vectors() {
        let input = |length: usize| (0..=250_u8).cycle().take(length).collect::<Vec<_>>();
        let cases = [
            (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
            (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
            (1_024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
            (1_025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"),
        ];
        for (length, expected) in cases {
            assert_eq!(Digest::of(&input(length)).to_string(), expected);
        }
    }

    #[test]
    fn how_bytes_are_cut_into_pieces_does_not_matter() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut builder = DigestBuilder::new();
        bytes.chunks(777).for_each(|piece| builder.update(piece));
        assert_eq!(builder.finish(), Digest::of(&bytes));
    }

    #[test]
    fn a_digest_of_the_wrong_form_is_refused() {
        assert!("zz".parse::<Digest>().is_err());
        assert!("+f".repeat(32).parse::<Digest>().is_err());
        assert!(Digest::try_from(&[0_u8; 31][..]).is_err());
    }
}
