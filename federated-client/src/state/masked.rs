use std::{
    io::{self, Write},
    num::NonZero,
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use federated_core::{
    ids::{Digest, DigestBuilder},
    privacy::{
        dp::NoiseSeed,
        secagg::{KeystreamBuffer, PreparedMask, RoundingSeed, VectorEncoder, VectorPlan},
    },
    update::ClientUpdate,
};

use super::{StateError, files};

/// What hides an update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Masking<'a> {
    /// How it becomes a vector.
    pub(crate) plan: &'a VectorPlan,
    /// What decides the rounding.
    pub(crate) rounding: &'a RoundingSeed,
    /// The self mask and those shared with others, with the signs of this participant.
    pub(crate) masks: &'a [PreparedMask],
    /// What this participant's share of noise is drawn from, where the plan has noise: for this vector alone.
    pub(crate) noise: &'a NoiseSeed,
}

/// A masked update in the state folder: the vector as it travels, and nothing before it.
///
/// The examples and the metrics are in it. No process finds it again: with the secrets that belong to it gone, its
/// participant has dropped out.
#[derive(Clone, Debug)]
pub(crate) struct MaskedUpdate {
    path: PathBuf,
    content: Digest,
    bytes: u64,
    clipped: u64,
}

impl MaskedUpdate {
    /// Encodes, masks and writes an update, a chunk of keystream at a time on so many cores, and digests it on the way.
    ///
    /// The memory is about 4 MiB a core beside the update. The bytes are the same for any number of cores; with noise, for the same seed of it.
    pub(super) fn write(
        path: &Path,
        update: &ClientUpdate,
        masking: Masking<'_>,
        cores: NonZero<usize>,
    ) -> Result<Self, StateError> {
        let Masking { plan, rounding, masks, noise } = masking;
        let values = update.delta.values();
        let encoder = match plan.noise() {
            None => plan.encoder(update.examples, &update.metrics, values, rounding)?,
            Some(_) => plan.noised_encoder(values, rounding, noise)?,
        };
        let maker = Maker { plan, encoder, masks };
        let mut unmade = None;
        let written = files::put_with(path, |file| {
            let (mut digest, mut bytes, mut clipped) = (DigestBuilder::new(), 0, 0);
            let taken = maker.chunks_in_order(cores, |chunk| {
                digest.update(&chunk.bytes);
                file.write_all(&chunk.bytes)?;
                bytes += chunk.bytes.len() as u64;
                clipped += chunk.clipped;
                Ok(())
            });
            match taken {
                Ok(()) => Ok((digest.finish(), bytes, clipped)),
                Err(Failure::Write(error)) => Err(error),
                Err(Failure::Vector(error)) => {
                    unmade = Some(error);
                    Err(io::Error::other("the vector cannot be made"))
                }
            }
        });
        let (content, bytes, clipped) = unmade.map_or(written, Err)?;
        Ok(Self { path: path.to_owned(), content, bytes, clipped })
    }

    /// The digest of what travels.
    pub(crate) const fn content(&self) -> Digest {
        self.content
    }

    /// How many bytes travel.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many values, and metrics, were beyond the bounds of the plan.
    pub(crate) const fn clipped(&self) -> u64 {
        self.clipped
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Why a masked update is not written.
enum Failure {
    Write(io::Error),
    Vector(StateError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// A chunk of the masked vector.
struct Chunk {
    bytes: Vec<u8>,
    clipped: u64,
}

/// Makes any chunk of a masked vector.
struct Maker<'a> {
    plan: &'a VectorPlan,
    encoder: VectorEncoder<'a>,
    masks: &'a [PreparedMask],
}

impl Maker<'_> {
    fn chunk(&self, chunk: u64, keystream: &mut KeystreamBuffer) -> Result<Chunk, StateError> {
        let modulus = self.plan.modulus();
        let range = modulus.chunk(chunk, self.encoder.elements());
        let elements = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut bytes = vec![0; elements * modulus.bytes()];
        let clipped = self.encoder.write(range.start, &mut bytes)?;
        keystream.apply(modulus, self.masks, range.start, &mut bytes)?;
        Ok(Chunk { bytes, clipped })
    }

    /// Makes all chunks on so many cores and takes them in their order. A worker is at most one chunk ahead.
    fn chunks_in_order(
        &self,
        cores: NonZero<usize>,
        mut take: impl FnMut(Chunk) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let chunks = self.plan.modulus().chunks(self.encoder.elements());
        let workers = usize::try_from(chunks).unwrap_or(usize::MAX).clamp(1, cores.get());
        thread::scope(|scope| {
            let start = |first: usize| {
                let (results, receiver) = sync_channel(1);
                scope.spawn(move || self.work((first as u64..chunks).step_by(workers), &results));
                receiver
            };
            let receivers: Vec<_> = (0..workers).map(start).collect();
            let mut turns = receivers.iter().cycle();
            for _ in 0..chunks {
                // A worker that panicked sends nothing more; the scope says why.
                let Some(Ok(chunk)) = turns.next().map(|receiver| receiver.recv()) else { break };
                take(chunk.map_err(Failure::Vector)?)?;
            }
            Ok(())
        })
    }

    fn work(&self, chunks: impl Iterator<Item = u64>, results: &SyncSender<Result<Chunk, StateError>>) {
        let mut keystream = KeystreamBuffer::new();
        for chunk in chunks {
            let made = self.chunk(chunk, &mut keystream);
            let failed = made.is_err();
            if results.send(made).is_err() || failed {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
