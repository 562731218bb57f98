use std::hint::black_box;

use anyhow::{Result, anyhow};
use federated_benches::system::timed;
use federated_core::privacy::secagg::CHUNK_BYTES;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// The least that masks over a vector can cost.
pub(crate) struct Floor {
    key: LessSafeKey,
    stream: Vec<u8>,
    vector: Vec<u8>,
}

impl Floor {
    pub(crate) fn new(vector_bytes: usize) -> Result<Self> {
        let key =
            UnboundKey::new(&AES_256_GCM, &[1; 32]).map_err(|_| anyhow!("expected a key of 32 bytes"))?;
        let stream = vec![0; vector_bytes.min(CHUNK_BYTES)];
        Ok(Self { key: LessSafeKey::new(key), stream, vector: vec![0; vector_bytes] })
    }

    /// Seconds for so many keystreams as long as the vector, and what it is to change the vector once.
    pub(crate) fn seconds(&mut self, masks: usize) -> Result<f64> {
        let (done, seconds) = timed(|| {
            for _ in 0..masks {
                self.keystream()?;
            }
            black_box(&mut self.vector).iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
            Ok(())
        });
        done.map(|()| seconds)
    }

    fn keystream(&mut self) -> Result<()> {
        let mut left = self.vector.len();
        while left > 0 {
            let length = left.min(self.stream.len());
            let piece = &mut self.stream[..length];
            let nonce = Nonce::assume_unique_for_key([0; 12]);
            let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), piece);
            black_box(tag.map_err(|_| anyhow!("expected a message of at most 1 MiB"))?.as_ref().len());
            left -= length;
        }
        Ok(())
    }
}
