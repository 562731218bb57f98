//! What every public value and every secret of a fixed number of bytes can do.

/// A public value of `$length` bytes: written in hexadecimal, ordered by its bytes.
macro_rules! public_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $length]);

        impl $name {
            /// The bytes as they travel.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl From<[u8; $length]> for $name {
            fn from(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = $crate::privacy::secagg::keys::KeyError;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                <[u8; $length]>::try_from(bytes).map(Self).map_err(|_| Self::Error::Length {
                    kind: $kind,
                    expected: $length,
                    found: bytes.len(),
                })
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::privacy::secagg::keys::KeyError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::privacy::secagg::keys::bytes::from_hex(text).map(Self).ok_or_else(|| Self::Err::Hex {
                    kind: $kind,
                    expected: 2 * $length,
                    found: text.chars().take(160).collect(),
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

/// A secret of 32 bytes: overwritten when dropped, printed as its type's name alone.
macro_rules! secret_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[cfg_attr(test, derive(Clone))]
        pub struct $name(zeroize::Zeroizing<[u8; 32]>);

        impl $name {
            /// A secret of the session, 32 bytes from `rng`.
            #[must_use]
            pub fn generate(rng: &mut dyn rand_chacha::rand_core::CryptoRng) -> Self {
                let mut bytes = zeroize::Zeroizing::new([0; 32]);
                rng.fill_bytes(bytes.as_mut());
                Self(bytes)
            }

            /// The secret as its shares gave it back.
            #[must_use]
            pub const fn from_bytes(bytes: zeroize::Zeroizing<[u8; 32]>) -> Self {
                Self(bytes)
            }

            /// The 32 bytes. They are secret.
            #[must_use]
            pub fn bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

pub(in crate::privacy::secagg) use {public_bytes, secret_bytes};

pub(in crate::privacy::secagg) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
