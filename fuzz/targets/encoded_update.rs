#![no_main]
//! Encoded updates of every codec, cut anywhere.
//!
//! First come the codec, whether zstd is on top, the fraction of top-k (u16, in steps of 16 millionths), how many elements
//! there are (u24), and how many bytes come at once; then the update.

use federated_core::compression::{
    BlockDecoder, BlockReader, Codec, CompressionError, Encoding, Fraction, decode, encode,
};
use federated_fuzz::seed;
use libfuzzer_sys::fuzz_target;

const MOST_ELEMENTS: usize = 200_000;

fn codec(number: u8, fraction: u16) -> Codec {
    match number % 6 {
        0 => Codec::F32,
        1 => Codec::Bf16,
        2 => Codec::F16,
        3 => Codec::Int8,
        4 => Codec::Int4,
        _ => Codec::TopK(Fraction::from_millionths(1 + 15 * u32::from(fraction)).expect("at most a million")),
    }
}

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    (0..24_u8).map(|number| {
        let (zstd, elements) = (number / 6 % 2, if number < 12 { 40_usize } else { 70_000 });
        let fraction = if number < 12 { 20_000_u16 } else { 10 };
        let encoding = Encoding { codec: codec(number, fraction), zstd: zstd == 1 };
        let values: Vec<f32> = (0..elements).map(|n| (n % 7) as f32 * 0.25 - 0.5).collect();
        // Of a long one the first block's beginning is enough.
        let mut bytes = encode(encoding, &values, 7).expect("values that can be encoded");
        bytes.truncate(4_000);
        let [low, middle, high, _] = (elements as u32).to_le_bytes();
        let [small, large] = fraction.to_le_bytes();
        [&[number, zstd, small, large, low, middle, high, 50], &bytes[..]].concat()
    })
}

/// The values, read as they come from the network.
fn in_pieces(
    encoding: Encoding,
    elements: usize,
    step: usize,
    bytes: &[u8],
) -> Result<Vec<f32>, CompressionError> {
    let (mut reader, mut decoder) =
        (BlockReader::new(encoding, elements as u64), BlockDecoder::new(encoding));
    let (mut values, mut first) = (vec![0.0; elements], 0);
    for mut piece in bytes.chunks(step) {
        while let Some(block) = reader.next_block(&mut piece)? {
            decoder.decode(block.index, block.payload, &mut values[first..first + block.elements])?;
            first += block.elements;
        }
    }
    reader.finish()?;
    Ok(values)
}

fuzz_target!(init: seed(seeds()), |bytes: &[u8]| {
    let [number, zstd, small, large, low, middle, high, step, bytes @ ..] = bytes else { return };
    let encoding = Encoding { codec: codec(*number, u16::from_le_bytes([*small, *large])), zstd: zstd % 2 == 1 };
    let elements = u32::from_le_bytes([*low, *middle, *high, 0]) as usize % MOST_ELEMENTS;
    let whole = decode(encoding, elements, bytes);
    let cut = in_pieces(encoding, elements, 1 + usize::from(*step), bytes);
    assert_eq!(whole.is_ok(), cut.is_ok());
    let (Ok(whole), Ok(cut)) = (whole, cut) else { return };
    assert!(whole.iter().all(|value| value.is_finite() && value.abs() < 2_147_483_648.0));
    assert!(whole.iter().map(|value| value.to_bits()).eq(cut.iter().map(|value| value.to_bits())));
    assert!(encoding.encoded_bytes(elements as u64).contains(&(bytes.len() as u64)));
});
