//! How the values of an update travel: whole, in fewer bits, or only the largest.
//!
//! An [`Encoding`] is a [`Codec`] for the values, with or without zstd on top. Both sides must know it; it is nowhere
//! in the bytes. An [`Encoder`] turns values into bytes, a [`BlockReader`] cuts arriving bytes into blocks, and a
//! [`BlockDecoder`] turns one block into values. [`ErrorFeedback`] keeps for the next round what a codec left out.
//! [`encode`] and [`decode`] do all of it at once.
//!
//! | codec | bytes an element | the values come back | error of an element `x` |
//! |---|---|---|---|
//! | [`Codec::F32`] | 4 | bit for bit | none |
//! | [`Codec::Bf16`] | 2 | rounded to nearest | at most 2^-8 \|x\| |
//! | [`Codec::F16`] | 2 | rounded to nearest | at most 2^-11 \|x\|, or 2^-25 if that is more |
//! | [`Codec::Int8`] | 1.016 | unbiased | below one step; a step is the group's largest magnitude / 127 |
//! | [`Codec::Int4`] | 0.516 | unbiased | below one step; a step is the group's largest magnitude / 7 |
//! | [`Codec::TopK`] | 6 for each one kept | the largest bit for bit, the rest 0 | none, or \|x\| |
//!
//! The wire form, but for [`Encoding::PLAIN`], is one block after another, each of [`BLOCK_ELEMENTS`] elements and the
//! last one of what is left: the length of the payload in bytes (u32, little-endian), then the payload. Blocks do not
//! depend on each other, so an aggregation decodes the same block of every update at a time, and a receiver checks
//! values while bytes still arrive. [`Encoding::PLAIN`] is the values as little-endian `f32`, without lengths; the
//! types here treat it as blocks all the same.
//!
//! With zstd a payload is one zstd frame. What is compressed is the payload without zstd, with its floats cut into
//! planes: the lowest byte of each, then the second byte of each, and so on. In floats of 32 bits that puts exponents
//! beside exponents, where zstd finds them.
//!
//! # Security
//! Bytes from a peer are refused, never trusted: lengths are held against [`Encoding::payload_bytes`] before anything
//! is stored, decompression ends at the size that the block must have, and no value gets through that is not finite and
//! below 2^31 in magnitude. Memory is at most one block in each type.
//!
//! Read in this order: [`encoding`](Encoding) (what there is, and how long it is), `plain`, `float16`, `quantize` and
//! `top_k` (a codec each), `lossless` with `planes` (zstd), [`encoder`](Encoder), [`reader`](BlockReader),
//! [`decoder`](BlockDecoder), [`feedback`](ErrorFeedback), [`error`](CompressionError).
//!
//! # Examples
//! ```
//! use federated_core::compression::{Codec, Encoding, decode, encode};
//!
//! let values = [0.25_f32, -1.0, 0.0, 0.5];
//! let encoding = Encoding::new(Codec::Int8);
//! let bytes = encode(encoding, &values, 7)?;
//! let back = decode(encoding, 4, &bytes)?;
//! assert!(back.iter().zip(values).all(|(back, value)| (back - value).abs() < 1.001 / 127.0));
//! # Ok::<(), federated_core::compression::CompressionError>(())
//! ```

mod decoder;
mod encoder;
mod encoding;
mod error;
mod feedback;
mod float16;
mod lossless;
mod plain;
mod planes;
mod quantize;
mod reader;
#[cfg(test)]
mod tests;
mod top_k;

pub use decoder::{BlockDecoder, decode};
pub use encoder::{Encoder, encode};
pub use encoding::{BLOCK_ELEMENTS, Codec, Encoding, Fraction, block_count, block_elements};
pub use error::CompressionError;
pub use feedback::ErrorFeedback;
pub use quantize::GROUP_ELEMENTS;
pub use reader::{BlockReader, EncodedBlock};
