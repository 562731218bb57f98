#![no_main]
//! Streams of messages with chunks, cut anywhere: the pieces are what the generated code would have read.
//!
//! The first byte says in which message chunks travel, the second how many bytes come from the network at once.

use bytes::Bytes;
use federated_fuzz::seed;
use federated_proto::{
    WireError,
    pieces::{Carrier, Part, Pieces, framed, opening},
    v1,
};
use libfuzzer_sys::fuzz_target;
use prost::Message;

/// What stands where, in the order of the stream: neighbours are one.
#[derive(Debug, Default, PartialEq)]
struct Content(Vec<(u64, Vec<u8>)>);

impl Content {
    fn add(&mut self, chunk: v1::Chunk) {
        match self.0.last_mut() {
            Some((offset, data)) if offset.checked_add(data.len() as u64) == Some(chunk.offset) => {
                data.extend_from_slice(&chunk.data);
            }
            _ => self.0.push((chunk.offset, chunk.data.to_vec())),
        }
    }
}

fn chunk(carrier: Carrier, message: Bytes) -> Option<v1::Chunk> {
    match carrier {
        Carrier::Download => v1::FetchModelResponse::decode(message).ok()?.chunk,
        Carrier::Upload => match v1::SubmitUpdateRequest::decode(message).ok()?.part? {
            v1::submit_update_request::Part::Chunk(chunk) => Some(chunk),
            v1::submit_update_request::Part::Header(_) => None,
        },
    }
}

fn read(carrier: Carrier, whole: bool, step: usize, stream: &[u8]) -> Result<Content, WireError> {
    let (mut pieces, mut content) = (Pieces::new((!whole).then_some(carrier)), Content::default());
    for bytes in stream.chunks(step) {
        pieces.push(Bytes::copy_from_slice(bytes));
        while let Some(part) = pieces.next_part()? {
            match part {
                Part::Piece(piece) => content.add(piece),
                Part::Message(message) => {
                    if let Some(chunk) = chunk(carrier, message).filter(|chunk| !chunk.data.is_empty()) {
                        content.add(chunk);
                    }
                }
            }
        }
    }
    pieces.finish()?;
    Ok(content)
}

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    [Carrier::Download, Carrier::Upload].into_iter().flat_map(|carrier| {
        let head = vec![u8::from(carrier == Carrier::Upload), 3];
        let chunk = |offset| [&opening(carrier, offset, 3)[..], b"abc"].concat();
        let other = framed(&v1::SubmitUpdateRequest::default()).to_vec();
        [[head.clone(), chunk(0), chunk(3), chunk(300)].concat(), [head, other, chunk(1 << 60)].concat()]
    })
}

fuzz_target!(init: seed(seeds()), |bytes: &[u8]| {
    let [carrier, step, stream @ ..] = bytes else { return };
    let carrier = if carrier % 2 == 0 { Carrier::Download } else { Carrier::Upload };
    let step = usize::from(*step).max(1);
    let (cut, in_one) = (read(carrier, false, step, stream), read(carrier, false, stream.len().max(1), stream));
    assert_eq!(cut, in_one);
    assert_eq!(cut, read(carrier, true, step, stream));
});
