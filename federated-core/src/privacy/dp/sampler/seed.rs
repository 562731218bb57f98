use std::fmt;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use zeroize::Zeroizing;

use super::Keystream;

/// What all noise of one release is drawn from.
///
/// # Security
/// Fill it with 32 bytes of the system's, for one release alone: whoever knows it can take the noise off. It is wiped when
/// dropped, and never printed.
pub struct NoiseSeed(Zeroizing<[u8; 32]>);

impl NoiseSeed {
    /// The seed of these bytes.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// One of 2^64 streams, which have nothing to do with each other: one for each stretch that is noised by itself.
    #[must_use]
    pub fn keystream(&self, stream: u64) -> Keystream {
        let mut generator = ChaCha20Rng::from_seed(*self.0);
        generator.set_stream(stream);
        Keystream::new(generator)
    }
}

impl fmt::Debug for NoiseSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoiseSeed(..)")
    }
}
