use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Terms;
use crate::ids::{Digest, Fingerprint, TaskId};

/// What everyone in a session agrees on before it begins.
///
/// Nobody sends it: the coordinator and each participant make it from what they know, and every key of the session
/// depends on its bytes. Whoever was told something else has other masks, which do not cancel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The job, the round and the attempt.
    pub task: TaskId,
    /// The model that training starts from.
    pub model: Digest,
    /// What participants do with it.
    pub training: Fingerprint,
    /// What the job says about secure aggregation.
    pub terms: Terms,
    /// How long the attempt may take.
    pub deadline: Duration,
}

impl Header {
    /// The bytes that are hashed and signed. Integers are little-endian; texts have their length (u32) in front.
    ///
    /// `"flsa/v1 header\n"`, job, round (u32), attempt (u32), model (32 bytes), training (32 bytes), fewest and most
    /// participants, gamma and delta in millionths, fewest survivors, modulus bits, clip (binary32), most examples (u32
    /// each), metrics (their number as u32, then name and bound (binary64) of each), 0 (u8: no noise is added), or 1 and the noise's multiplier (binary64) and contributors (u32); deadline
    /// in milliseconds (u64).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { task, model, training, terms, deadline } = self;
        let mut bytes = Bytes(b"flsa/v1 header\n".to_vec());
        bytes.text(task.job.as_str());
        bytes.number(task.round.get());
        bytes.number(task.attempt);
        bytes.0.extend_from_slice(model.as_bytes());
        bytes.0.extend_from_slice(training.as_bytes());
        let vector = &terms.vector;
        for number in [
            terms.min_cohort,
            terms.max_cohort,
            terms.corrupt.millionths(),
            terms.dropouts.millionths(),
            terms.min_survivors,
            vector.modulus().bits(),
            vector.clip().to_bits(),
            vector.max_examples().get(),
        ] {
            bytes.number(number);
        }
        bytes.number(u32::try_from(vector.metrics().len()).unwrap_or(u32::MAX));
        for (name, bound) in vector.metrics() {
            bytes.text(name);
            bytes.0.extend_from_slice(&bound.to_bits().to_le_bytes());
        }
        match vector.noise() {
            None => bytes.0.push(0),
            Some(noise) => {
                bytes.0.push(1);
                bytes.0.extend_from_slice(&noise.multiplier.get().to_bits().to_le_bytes());
                bytes.number(noise.contributors.get());
            }
        }
        let milliseconds = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        bytes.0.extend_from_slice(&milliseconds.to_le_bytes());
        bytes.0
    }

    /// The SHA-256 of its bytes, which signatures hold.
    #[must_use]
    pub fn hash(&self) -> Fingerprint {
        Fingerprint::of(&self.to_bytes())
    }
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(text.as_bytes());
    }
}
