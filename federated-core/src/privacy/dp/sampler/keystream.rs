use std::fmt;

use rand_chacha::{ChaCha20Rng, rand_core::RngCore};
use zeroize::Zeroize;

/// Words that are made at a time: 4 KiB, which stay in the first-level cache.
const WORDS: usize = 512;

/// The random words that noise is made from: a ChaCha20 generator, read 4 KiB at a time.
///
/// It is a stream: a vector is given the same noise whole or cut into pieces that are noised one after another.
///
/// # Security
/// Whoever knows the seed knows the noise, and there is no privacy from them. Seed it with 32 bytes from the system
/// for each release, and keep it no longer than that. The buffer is wiped when dropped; `rand_chacha` does not wipe
/// the generator.
pub struct Keystream {
    generator: ChaCha20Rng,
    words: Box<[u64; WORDS]>,
    next: usize,
    drawn: u64,
}

impl Keystream {
    /// The stream of a seeded generator.
    #[must_use]
    pub fn new(generator: ChaCha20Rng) -> Self {
        Self { generator, words: Box::new([0; WORDS]), next: WORDS, drawn: 0 }
    }

    /// The next 64 bits.
    #[inline(always)]
    pub(in crate::privacy::dp) fn next(&mut self) -> u64 {
        loop {
            if let Some(word) = self.words.get(self.next) {
                self.next += 1;
                return *word;
            }
            self.refill();
        }
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self) {
        self.generator.fill_bytes(bytemuck::cast_slice_mut(&mut self.words[..]));
        // One stream on every machine: it is read as little-endian words.
        self.words.iter_mut().for_each(|word| *word = u64::from_le(*word));
        (self.next, self.drawn) = (0, self.drawn + 1);
    }

    /// Bytes of keystream used so far.
    #[must_use]
    pub fn used(&self) -> u64 {
        (self.drawn * WORDS as u64 + self.next as u64 - WORDS as u64) * 8
    }
}

impl Drop for Keystream {
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

impl fmt::Debug for Keystream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keystream(..)")
    }
}
