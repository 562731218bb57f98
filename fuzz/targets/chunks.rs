#![no_main]
//! Chunks of a content that must follow one another.

use arbitrary::Arbitrary;
use federated_proto::{
    chunk::{ChunkSequence, split},
    v1,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Download {
    offset: u64,
    total: u64,
    /// Offset, or where the last one ended; and the bytes.
    chunks: Vec<(Option<u64>, Vec<u8>)>,
    step: usize,
}

fuzz_target!(|download: Download| {
    let Download { offset, total, chunks, step } = download;
    let (mut sequence, mut taken) = (ChunkSequence::new(offset, total), 0);
    for (place, data) in chunks {
        let chunk = v1::Chunk { offset: place.unwrap_or(sequence.position()), data: data.into() };
        for part in split(chunk.data.clone(), chunk.offset, step).take(16) {
            assert!(part.offset >= chunk.offset && !part.data.is_empty());
        }
        let before = sequence.position();
        match sequence.accept(chunk) {
            Ok(data) => taken += data.len() as u64,
            Err(_) => assert_eq!(sequence.position(), before),
        }
    }
    assert!(sequence.position() <= total.max(offset));
    assert_eq!(Some(sequence.position()), offset.checked_add(taken));
    assert_eq!(sequence.finish().is_ok(), sequence.position() == total);
});
