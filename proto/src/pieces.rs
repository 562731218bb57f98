//! Streams of chunks, cut and put together without copying and without waiting for whole messages.
//!
//! A gRPC message with a chunk of content is a few bytes of opening and then the content. [`opening`] makes those few
//! bytes, so that content is sent from wherever it is; [`Pieces`] reads them, and hands out content as it comes from
//! the socket, however large the message is. So a receiver holds no message in memory, and nobody copies one.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::{WireError, chunk::MAX_CHUNK_BYTES, v1};

/// Longest message that is not a chunk, in bytes: a header with the longest layout fits.
const MAX_MESSAGE_BYTES: usize = 8 << 20;
/// What comes before every gRPC message: a flag for compression and the length, big-endian.
const PREFIX_BYTES: usize = 5;
/// Field 1 of a chunk, a varint.
const OFFSET_TAG: u8 = 1 << 3;
/// Field 2 of a chunk, of a given length.
const DATA_TAG: u8 = 2 << 3 | 2;

/// Which message a chunk travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever reads or writes content must know every kind")]
pub enum Carrier {
    /// [`v1::FetchModelResponse`].
    Download,
    /// [`v1::SubmitUpdateRequest`].
    Upload,
}

impl Carrier {
    /// The tag of the field with the chunk.
    const fn tag(self) -> u8 {
        match self {
            Self::Download => 1 << 3 | 2,
            Self::Upload => 2 << 3 | 2,
        }
    }
}

/// What stands before the content of a chunk on the wire: gRPC's prefix and the opening of the messages around it.
#[must_use]
pub fn opening(carrier: Carrier, offset: u64, length: usize) -> Bytes {
    let length = length as u64;
    let offset_bytes = if offset == 0 { 0 } else { 1 + encoded_len_varint(offset) };
    let chunk = (offset_bytes + 1 + encoded_len_varint(length)) as u64 + length;
    let message = 1 + encoded_len_varint(chunk) as u64 + chunk;
    let mut head = BytesMut::with_capacity(PREFIX_BYTES + 32);
    head.put_u8(0);
    head.put_u32(u32::try_from(message).unwrap_or(u32::MAX));
    head.put_u8(carrier.tag());
    encode_varint(chunk, &mut head);
    if offset != 0 {
        head.put_u8(OFFSET_TAG);
        encode_varint(offset, &mut head);
    }
    head.put_u8(DATA_TAG);
    encode_varint(length, &mut head);
    head.freeze()
}

/// A message that is not a chunk, with gRPC's prefix.
#[must_use]
pub fn framed(message: &impl prost::Message) -> Bytes {
    let body = message.encode_to_vec();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + body.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    framed.put_slice(&body);
    framed.freeze()
}

/// What a stream holds.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "whoever reads or writes content must know every kind")]
pub enum Part {
    /// A whole message: one without a chunk, or with its fields in an unusual order.
    Message(Bytes),
    /// Content, as much of it as has come; `offset` is where this piece stands.
    Piece(v1::Chunk),
}

/// Where in a message the stream is.
#[derive(Debug)]
enum State {
    /// Before or in gRPC's prefix.
    Prefix,
    /// At the beginning of a message of so many bytes.
    Opening { length: usize },
    /// In the content of a chunk.
    Content { offset: u64, left: usize },
    /// In a message that is gathered as a whole.
    Gathering { length: usize },
}

/// Reads a stream of messages that carry chunks.
#[derive(Debug)]
pub struct Pieces {
    carrier: Option<Carrier>,
    state: State,
    /// What came and is not yet looked at.
    pending: VecDeque<Bytes>,
    /// The beginning of a prefix, an opening, or a message that is gathered.
    head: BytesMut,
}

impl Pieces {
    /// Nothing has come. `carrier` says in which message chunks travel; without it every message comes whole.
    #[must_use]
    pub fn new(carrier: Option<Carrier>) -> Self {
        Self { carrier, state: State::Prefix, pending: VecDeque::new(), head: BytesMut::new() }
    }

    /// Takes what came from the network.
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.pending.push_back(bytes);
        }
    }

    /// The next part; `None` when more bytes must come first.
    ///
    /// # Errors
    /// [`WireError`] when a message is compressed or longer than allowed.
    pub fn next_part(&mut self) -> Result<Option<Part>, WireError> {
        loop {
            match self.state {
                State::Prefix => {
                    if !self.gather(PREFIX_BYTES) {
                        return Ok(None);
                    }
                    self.state = State::Opening { length: prefix(&self.head)? };
                    self.head.clear();
                }
                State::Opening { length } => match opened(self.carrier, &self.head, length) {
                    Opened::Content { offset, bytes } => {
                        self.head.clear();
                        self.state = State::Content { offset, left: bytes };
                    }
                    Opened::Otherwise => self.state = State::Gathering { length },
                    Opened::Unknown => {
                        let more = self.head.len() + 1;
                        if !self.gather(more) {
                            return Ok(None);
                        }
                    }
                },
                State::Content { left: 0, .. } => self.state = State::Prefix,
                State::Content { offset, left } => return Ok(self.piece(offset, left)),
                State::Gathering { length } => {
                    if !self.gather(length) {
                        return Ok(None);
                    }
                    self.state = State::Prefix;
                    return Ok(Some(Part::Message(self.head.split().freeze())));
                }
            }
        }
    }

    /// Checks that the stream did not end within a message.
    ///
    /// # Errors
    /// [`WireError::Unexpected`] when it did.
    pub fn finish(&self) -> Result<(), WireError> {
        let between = matches!(self.state, State::Prefix | State::Content { left: 0, .. });
        if between && self.head.is_empty() && self.pending.is_empty() {
            return Ok(());
        }
        Err(WireError::Unexpected { expected: "a whole message", found: "the end of the stream" })
    }

    fn piece(&mut self, offset: u64, left: usize) -> Option<Part> {
        let first = self.pending.front_mut()?;
        let length = left.min(first.len());
        let data = first.split_to(length);
        if first.is_empty() {
            self.pending.pop_front();
        }
        self.state = State::Content { offset: offset + length as u64, left: left - length };
        Some(Part::Piece(v1::Chunk { offset, data }))
    }

    /// Moves bytes to the head until it has `length`; false when too few have come.
    fn gather(&mut self, length: usize) -> bool {
        while self.head.len() < length {
            let Some(first) = self.pending.front_mut() else { return false };
            let taken = first.split_to((length - self.head.len()).min(first.len()));
            self.head.extend_from_slice(&taken);
            if first.is_empty() {
                self.pending.pop_front();
            }
        }
        true
    }
}

/// The length of the message behind a prefix.
fn prefix(mut head: &[u8]) -> Result<usize, WireError> {
    if head.get_u8() != 0 {
        return Err(WireError::Unexpected { expected: "a plain message", found: "a compressed one" });
    }
    let length = usize::try_from(head.get_u32()).unwrap_or(usize::MAX);
    if length > MAX_MESSAGE_BYTES {
        let (expected, found) = (format!("at most {MAX_MESSAGE_BYTES}"), length.to_string());
        return Err(WireError::Range { field: "message length", expected, found });
    }
    Ok(length)
}

/// What the beginning of a message says.
enum Opened {
    /// It is a chunk's, up to its content.
    Content { offset: u64, bytes: usize },
    /// It is another message, or a chunk in another order.
    Otherwise,
    /// It is too short to tell.
    Unknown,
}

fn opened(carrier: Option<Carrier>, head: &[u8], length: usize) -> Opened {
    let Some(carrier) = carrier else { return Opened::Otherwise };
    let mut rest = head;
    match read_opening(carrier, &mut rest, length) {
        Some(Some((offset, bytes))) => Opened::Content { offset, bytes },
        Some(None) => Opened::Otherwise,
        None if head.len() >= length => Opened::Otherwise,
        None => Opened::Unknown,
    }
}

/// Offset and length of the content; `Some(None)` when it is no chunk in the usual order, `None` when `head` ends early.
fn read_opening(carrier: Carrier, head: &mut &[u8], length: usize) -> Option<Option<(u64, usize)>> {
    let whole = head.len();
    let message = length as u64;
    let position = |head: &[u8]| (whole - head.len()) as u64;
    if byte(head)? != carrier.tag() {
        return Some(None);
    }
    let chunk = varint(head)?;
    if chunk.checked_add(position(head)) != Some(message) {
        return Some(None);
    }
    let (mut tag, mut offset) = (byte(head)?, 0);
    if tag == OFFSET_TAG {
        offset = varint(head)?;
        tag = byte(head)?;
    }
    if tag != DATA_TAG {
        return Some(None);
    }
    let bytes = varint(head)?;
    let fits = bytes.checked_add(position(head)) == Some(message);
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    // An empty or overlong chunk is refused by whoever gets it as a message.
    Some((fits && (1..=MAX_CHUNK_BYTES).contains(&bytes)).then_some((offset, bytes)))
}

fn byte(head: &mut &[u8]) -> Option<u8> {
    let (first, rest) = head.split_first()?;
    *head = rest;
    Some(*first)
}

/// A base-128 number of at most ten bytes; a longer one has no meaning and does not fit any message.
fn varint(head: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let next = byte(head)?;
        value |= u64::from(next & 0x7f) << (7 * place);
        if next < 0x80 {
            return Some(value);
        }
    }
    Some(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    fn upload(offset: u64, data: &[u8]) -> v1::SubmitUpdateRequest {
        let chunk = v1::Chunk { offset, data: Bytes::copy_from_slice(data) };
        v1::SubmitUpdateRequest { part: Some(v1::submit_update_request::Part::Chunk(chunk)) }
    }

    fn read(carrier: Carrier, stream: &[u8], step: usize) -> Result<(Vec<u8>, Vec<Bytes>), WireError> {
        let mut pieces = Pieces::new(Some(carrier));
        let (mut content, mut messages) = (Vec::new(), Vec::new());
        for bytes in stream.chunks(step) {
            pieces.push(Bytes::copy_from_slice(bytes));
            while let Some(part) = pieces.next_part()? {
                match part {
                    Part::Message(message) => messages.push(message),
                    Part::Piece(piece) => {
                        assert_eq!(piece.offset, content.len() as u64);
                        content.extend_from_slice(&piece.data);
                    }
                }
            }
        }
        pieces.finish()?;
        Ok((content, messages))
    }

    #[test]
    fn an_opening_is_what_the_generated_code_writes() {
        let data = vec![7; 70_000];
        for offset in [0, 1, 127, 128, 1 << 40] {
            let whole = framed(&upload(offset, &data));
            let head = opening(Carrier::Upload, offset, data.len());
            assert_eq!([&head[..], &data].concat(), whole);
            let chunk = Some(v1::Chunk { offset, data: data.clone().into() });
            let whole = framed(&v1::FetchModelResponse { chunk });
            assert_eq!([&opening(Carrier::Download, offset, data.len())[..], &data].concat(), whole);
        }
    }

    #[test]
    fn chunks_in_another_order_and_other_messages_come_whole() {
        // Field 2 before field 1, as an encoder is free to write it.
        let reordered = [&[0x12, 6, 0x12, 2, b'a', b'b', 0x08, 5][..]].concat();
        let mut stream = vec![0, 0, 0, 0, 8];
        stream.extend_from_slice(&reordered);
        stream.extend_from_slice(&framed(&upload(3, b"")));
        stream.extend_from_slice(&[0, 0, 0, 0, 0]);
        let (content, messages) = read(Carrier::Upload, &stream, 3).unwrap();
        assert!(content.is_empty());
        assert_eq!(messages.len(), 3);
        assert_eq!(v1::SubmitUpdateRequest::decode(messages[0].clone()).unwrap(), upload(5, b"ab"));
        assert_eq!(v1::SubmitUpdateRequest::decode(messages[1].clone()).unwrap(), upload(3, b""));
        assert!(messages[2].is_empty());
    }

    #[test]
    fn compressed_overlong_and_cut_messages_are_refused() {
        let refused = |stream: &[u8]| read(Carrier::Upload, stream, 64).unwrap_err();
        assert!(matches!(refused(&[1, 0, 0, 0, 0]), WireError::Unexpected { .. }));
        assert!(matches!(refused(&[0, 0xff, 0, 0, 0]), WireError::Range { .. }));
        let whole = framed(&upload(0, b"abc"));
        for end in 1..whole.len() {
            assert!(matches!(refused(&whole[..end]), WireError::Unexpected { .. }), "{end}");
        }
    }

    proptest! {
        #[test]
        fn content_comes_through_however_the_stream_is_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..6), step in 1_usize..400,
        ) {
            let (mut stream, mut all) = (Vec::new(), Vec::new());
            for data in &chunks {
                stream.extend_from_slice(&opening(Carrier::Upload, all.len() as u64, data.len()));
                stream.extend_from_slice(data);
                all.extend_from_slice(data);
            }
            prop_assert_eq!(read(Carrier::Upload, &stream, step).unwrap().0, all);
        }

        #[test]
        fn hostile_bytes_never_panic(stream in prop::collection::vec(any::<u8>(), 0..200), step in 1_usize..50) {
            let mut pieces = Pieces::new(Some(Carrier::Upload));
            for bytes in stream.chunks(step) {
                pieces.push(Bytes::copy_from_slice(bytes));
                while let Ok(Some(_)) = pieces.next_part() {}
            }
            let _ = pieces.finish();
        }
    }
}
