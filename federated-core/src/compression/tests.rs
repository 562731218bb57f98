//! Laws that every encoding obeys, and what none of them takes from a hostile peer.

use proptest::prelude::*;

use super::*;
use crate::model::MAX_MAGNITUDE;

fn encoding() -> impl Strategy<Value = Encoding> {
    let fraction = (1_u32..=1_000_000).prop_map(|millionths| Fraction::from_millionths(millionths).unwrap());
    let codec = prop_oneof![
        Just(Codec::F32),
        Just(Codec::Bf16),
        Just(Codec::F16),
        Just(Codec::Int8),
        Just(Codec::Int4),
        fraction.prop_map(Codec::TopK),
    ];
    (codec, any::<bool>()).prop_map(|(codec, zstd)| Encoding { codec, zstd })
}

/// Values of every magnitude that f16 holds too, zeros among them.
fn values(most: usize) -> impl Strategy<Value = Vec<f32>> {
    let value = (-2.0_f32..2.0, -30_i32..15).prop_map(|(value, exponent)| value * 2.0_f32.powi(exponent));
    prop::collection::vec(prop_oneof![4 => value, 1 => Just(0.0)], 1..most)
}

/// A long vector from a short one, so that there are several blocks.
fn repeated(values: &[f32], elements: usize) -> Vec<f32> {
    values.iter().copied().cycle().take(elements).collect()
}

#[test]
fn plain_is_the_values_and_nothing_else() {
    let bytes = encode(Encoding::PLAIN, &[1.0, -2.0], 0).unwrap();
    assert_eq!(bytes, [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
    assert_eq!(Encoding::PLAIN.encoded_bytes(1_663_370), 6_653_480..=6_653_480);
}

#[test]
fn a_block_is_its_length_and_its_payload() {
    let bytes = encode(Encoding::new(Codec::Bf16), &[1.0, -2.0], 0).unwrap();
    assert_eq!(bytes, [4, 0, 0, 0, 0x80, 0x3f, 0x00, 0xc0]);
}

#[test]
fn sizes_are_as_documented() {
    let elements = 1_663_370;
    let share = |text: &str| {
        let encoding: Encoding = text.parse().unwrap();
        encoding.max_encoded_bytes(elements) as f64 / Encoding::PLAIN.max_encoded_bytes(elements) as f64
    };
    for (text, most) in
        [("bf16", 0.501), ("f16", 0.501), ("int8", 0.255), ("int4", 0.13), ("top-k:0.01", 0.016)]
    {
        assert!(share(text) < most, "{text} takes {}", share(text));
    }
    assert!(share("top-k:0.01+zstd") < 0.03);
    assert_eq!(Encoding::new(Codec::Int8).encoded_bytes(0), 0..=0);
}

#[test]
fn names_of_encodings_are_read_back() {
    for text in
        ["f32", "bf16+zstd", "f16", "int8", "int4+zstd", "top-k:0.01", "top-k:0.000001+zstd", "top-k:1"]
    {
        assert_eq!(text.parse::<Encoding>().unwrap().to_string(), text);
    }
    for text in
        ["", "zstd", "int2", "top-k", "top-k:", "top-k:0", "top-k:1.1", "top-k:nan", "top-k:1e-7", "int8+"]
    {
        assert!(text.parse::<Encoding>().is_err(), "{text:?} was accepted");
    }
}

#[test]
fn a_fraction_of_elements_is_rounded_up() {
    let of = |fraction, elements| Fraction::new(fraction).unwrap().of(elements);
    assert_eq!([of(0.01, 100), of(0.07, 100), of(0.01, 101), of(0.01, 1), of(1.0, 7)], [1, 7, 2, 1, 7]);
    assert_eq!(of(0.5, u64::MAX), u64::MAX / 2 + 1);
}

#[test]
fn values_that_are_not_usable_are_not_encoded() {
    for found in [f32::NAN, f32::INFINITY, MAX_MAGNITUDE] {
        let mut values = vec![0.5; BLOCK_ELEMENTS + 10];
        values[BLOCK_ELEMENTS + 3] = found;
        for text in ["f32", "bf16", "f16", "int8", "int4+zstd", "top-k:0.01"] {
            let error = encode(text.parse().unwrap(), &values, 0).unwrap_err();
            let element = BLOCK_ELEMENTS as u64 + 3;
            assert!(
                matches!(error, CompressionError::NotFinite { element: at, .. } | CompressionError::TooLarge { element: at, .. } if at == element),
                "{text}: {error}"
            );
        }
    }
}

#[test]
fn a_decompression_bomb_is_refused() {
    // 20 MB of zeros in a few hundred bytes.
    let bomb = zstd::bulk::compress(&vec![0; 20_000_000], 19).unwrap();
    assert!(bomb.len() < 5_000);
    for text in ["f32+zstd", "int8+zstd", "top-k:0.01+zstd"] {
        let mut values = vec![0.0; BLOCK_ELEMENTS];
        let error = BlockDecoder::new(text.parse().unwrap()).decode(7, &bomb, &mut values).unwrap_err();
        assert!(matches!(error, CompressionError::Zstd { block: 7, .. }), "{text}: {error}");
    }
    // One byte too many, and one too few.
    for length in [39, 41] {
        let payload = zstd::bulk::compress(&vec![0; length], 1).unwrap();
        let error =
            BlockDecoder::new("f32+zstd".parse().unwrap()).decode(0, &payload, &mut [0.0; 10]).unwrap_err();
        assert!(matches!(error, CompressionError::Zstd { .. }), "{error}");
    }
}

#[test]
fn a_length_out_of_bounds_is_refused_before_its_payload_comes() {
    for (text, length) in
        [("int8", 103_u32), ("int8", 105), ("bf16+zstd", 266), ("f32+zstd", 0), ("top-k:1", 601)]
    {
        let mut reader = BlockReader::new(text.parse().unwrap(), 100);
        let error = reader.next_block(&mut &length.to_le_bytes()[..]).unwrap_err();
        assert!(matches!(error, CompressionError::PayloadLength { block: 0, .. }), "{text}: {error}");
    }
    // Each block could have so many, but not all of them: one hundredth of 131,072 is 1,311.
    let mut reader = BlockReader::new("top-k:0.01".parse().unwrap(), 131_072);
    let error = reader.next_block(&mut &(1_312_u32 * 6).to_le_bytes()[..]).unwrap_err();
    assert!(matches!(error, CompressionError::TooLong { .. }), "{error}");
}

#[test]
fn every_error_tells_a_peer_something() {
    let error = BlockDecoder::new(Encoding::new(Codec::Int8)).decode(0, &[], &mut [0.0]).unwrap_err();
    assert_eq!(error.reason().as_str(), "UPDATE_ENCODING_INVALID");
    assert_eq!(error.fault(), crate::fault::Fault::Peer);
    let error = encode(Encoding::new(Codec::F16), &[1e6], 0).unwrap_err();
    assert_eq!(error.reason().as_str(), "ENCODING_OVERFLOW");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn lengths_are_within_what_is_promised(encoding in encoding(), values in values(700), elements in 1_usize..140_000) {
        let values = repeated(&values, elements);
        let bytes = encode(encoding, &values, 1).unwrap();
        let promised = encoding.encoded_bytes(elements as u64);
        prop_assert!(promised.contains(&(bytes.len() as u64)), "{} of {promised:?}", bytes.len());
        if !encoding.zstd && !matches!(encoding.codec, Codec::TopK(_)) {
            prop_assert_eq!(promised.start(), promised.end());
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_blocks(
        encoding in encoding(), values in values(700), elements in 1_usize..140_000, piece in 1_usize..300_000,
    ) {
        let values = repeated(&values, elements);
        let bytes = encode(encoding, &values, 1).unwrap();
        let whole = decode(encoding, elements, &bytes).unwrap();
        let (mut reader, mut decoder) = (BlockReader::new(encoding, elements as u64), BlockDecoder::new(encoding));
        let mut parts = Vec::new();
        for mut piece in bytes.chunks(piece) {
            while let Some(block) = reader.next_block(&mut piece).unwrap() {
                let offset = usize::try_from(block.offset).unwrap();
                prop_assert_eq!(&bytes[offset..offset + block.payload.len()], block.payload);
                let mut values = vec![9.0; block.elements];
                decoder.decode(block.index, block.payload, &mut values).unwrap();
                parts.extend(values);
            }
            prop_assert!(piece.is_empty());
        }
        reader.finish().unwrap();
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn blocks_are_the_same_in_any_order(encoding in encoding(), values in values(300)) {
        let values = repeated(&values, 140_000);
        let whole = encode(encoding, &values, 3).unwrap();
        let mut encoder = Encoder::new(encoding, &values, 3).unwrap();
        let mut blocks: Vec<Vec<u8>> = (0..encoder.blocks()).rev().map(|index| {
            let mut bytes = Vec::new();
            encoder.append_block(index, &mut bytes).unwrap();
            bytes
        }).collect();
        blocks.reverse();
        prop_assert_eq!(whole, blocks.concat());
        prop_assert!(encoder.append_block(3, &mut Vec::new()).is_err());
    }
}

proptest! {
    #[test]
    fn an_update_that_is_cut_short_or_too_long_is_refused(
        encoding in encoding(), values in values(300), cut: prop::sample::Index,
    ) {
        let mut bytes = encode(encoding, &values, 1).unwrap();
        prop_assert!(decode(encoding, values.len(), &bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(decode(encoding, values.len(), &bytes).is_err());
    }

    #[test]
    fn lossless_encodings_return_every_bit(zstd: bool, bits in prop::collection::vec(0_u32..MAX_MAGNITUDE.to_bits(), 1..500), negative: bool) {
        let values: Vec<f32> =
            bits.iter().map(|bits| f32::from_bits(*bits) * if negative { -1.0 } else { 1.0 }).collect();
        let encoding = Encoding { codec: Codec::F32, zstd };
        let back = decode(encoding, values.len(), &encode(encoding, &values, 1).unwrap()).unwrap();
        prop_assert!(values.iter().zip(&back).all(|(value, back)| value.to_bits() == back.to_bits()));
    }

    #[test]
    fn rounding_codecs_keep_their_bound(values in values(500)) {
        for (codec, relative, absolute) in
            [(Codec::Bf16, 2.0_f32.powi(-8), 0.0), (Codec::F16, 2.0_f32.powi(-11), 2.0_f32.powi(-25))]
        {
            let encoding = Encoding::new(codec);
            let back = decode(encoding, values.len(), &encode(encoding, &values, 1).unwrap()).unwrap();
            for (value, back) in values.iter().zip(&back) {
                prop_assert!((value - back).abs() <= (relative * value.abs()).max(absolute), "{back} for {value}");
            }
        }
    }

    #[test]
    fn zstd_changes_no_value(encoding in encoding(), values in values(2_000)) {
        let [with, without] = [true, false].map(|zstd| {
            let encoding = Encoding { codec: encoding.codec, zstd };
            decode(encoding, values.len(), &encode(encoding, &values, 5).unwrap()).unwrap()
        });
        prop_assert_eq!(with, without);
    }

    #[test]
    fn random_payloads_are_refused_or_give_usable_values(
        encoding in encoding(), payload in prop::collection::vec(any::<u8>(), 0..1_100), elements in 0_usize..300,
    ) {
        check_hostile(encoding, &payload, elements);
    }

    #[test]
    fn random_payloads_of_the_right_length_are_refused_or_give_usable_values(
        encoding in encoding(), random in prop::collection::vec(any::<u8>(), 2_000), elements in 0_usize..300,
    ) {
        // Most of a random payload of a fixed length passes the first check.
        let length = encoding.max_payload_bytes(elements);
        check_hostile(encoding, &random[..length.min(random.len())], elements);
    }

    #[test]
    fn mutated_updates_are_refused_or_give_usable_values(
        encoding in encoding(), values in values(300), mutations in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode(encoding, &values, 1).unwrap();
        for (place, byte) in mutations {
            let length = bytes.len();
            bytes[place % length] = byte;
        }
        if let Ok(values) = decode(encoding, values.len(), &bytes) {
            prop_assert!(values.iter().all(|value| value.abs() < MAX_MAGNITUDE));
        }
    }

    #[test]
    fn random_streams_never_hold_more_than_a_payload(
        encoding in encoding(), bytes in prop::collection::vec(any::<u8>(), 0..600), elements in 1_u64..200_000,
    ) {
        let mut reader = BlockReader::new(encoding, elements);
        let mut input = &bytes[..];
        while let Ok(Some(block)) = reader.next_block(&mut input) {
            prop_assert!(block.payload.len() <= encoding.max_payload_bytes(block.elements));
        }
    }
}

/// No panic, and no value that a model may not hold.
fn check_hostile(encoding: Encoding, payload: &[u8], elements: usize) {
    let mut values = vec![f32::NAN; elements];
    match BlockDecoder::new(encoding).decode(2, payload, &mut values) {
        Ok(()) => assert!(values.iter().all(|value| value.abs() < MAX_MAGNITUDE)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
