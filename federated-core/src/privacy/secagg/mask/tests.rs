use proptest::prelude::*;
use ring::digest::{SHA256, digest};

use super::*;

const MODULI: [Modulus; 3] = [Modulus::B16, Modulus::B24, Modulus::B32];

fn from_hex(text: &str) -> [u8; 32] {
    let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(byte)
}

fn mask(seed: [u8; 32], sign: Sign) -> PreparedMask {
    Mask { seed: MaskSeed::new(seed.into()), sign }.prepare().unwrap()
}

fn to_bytes(modulus: Modulus, elements: &[u32]) -> Vec<u8> {
    elements.iter().flat_map(|element| element.to_le_bytes().into_iter().take(modulus.bytes())).collect()
}

fn to_elements(modulus: Modulus, bytes: &[u8]) -> Vec<u32> {
    let element = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    bytes.chunks(modulus.bytes()).map(element).collect()
}

/// The keystream of a mask from any element on, the plain way.
fn stream(modulus: Modulus, seed: [u8; 32], first: u64, elements: usize) -> Vec<u8> {
    let mask = mask(seed, Sign::Add);
    let first = usize::try_from(first).unwrap() * modulus.bytes();
    let end = first + elements * modulus.bytes();
    let mut bytes = vec![0; end.next_multiple_of(CHUNK_BYTES)];
    bytes
        .chunks_mut(CHUNK_BYTES)
        .enumerate()
        .for_each(|(chunk, bytes)| mask.keystream(chunk as u64, bytes).unwrap());
    bytes[first..end].to_vec()
}

/// A participant of a session that an independent implementation in Python made, on a complete graph.
struct Participant {
    self_seed: &'static str,
    input: &'static [u32],
    masked_input: &'static [u32],
}

struct Session {
    modulus: Modulus,
    participants: &'static [Participant],
    /// The lower index, the higher one, the seed, and the first elements of its mask.
    pairs: &'static [(usize, usize, &'static str, &'static [u32])],
    sum: &'static [u32],
    /// SHA-256 of the first elements of the mask of the first pair.
    long: (usize, &'static str),
}

include!("vectors.rs");

#[test]
fn masks_are_those_of_an_independent_implementation() {
    for session in SESSIONS {
        for (_, _, seed, expected) in session.pairs {
            let mut bytes = to_bytes(session.modulus, &vec![0; expected.len()]);
            apply(session.modulus, &[mask(from_hex(seed), Sign::Add)], 0, &mut bytes).unwrap();
            assert_eq!(to_elements(session.modulus, &bytes), *expected);
        }
    }
}

#[test]
fn a_mask_of_more_than_a_chunk_is_that_of_an_independent_implementation() {
    for session in SESSIONS {
        let (elements, sha256) = session.long;
        let mut bytes = vec![0; elements * session.modulus.bytes()];
        assert!(bytes.len() > CHUNK_BYTES);
        apply(session.modulus, &[mask(from_hex(session.pairs[0].2), Sign::Add)], 0, &mut bytes).unwrap();
        assert_eq!(digest(&SHA256, &bytes).as_ref(), from_hex(sha256));
    }
}

#[test]
fn masked_inputs_are_those_of_an_independent_implementation_and_sum_up_unmasked() {
    for Session { modulus, participants, pairs, sum, .. } in SESSIONS {
        let mut total = to_bytes(*modulus, &vec![0; sum.len()]);
        for (index, participant) in participants.iter().enumerate() {
            let own = mask(from_hex(participant.self_seed), Sign::Add);
            let shared = pairs.iter().filter_map(|(low, high, seed, _)| match index {
                _ if index == *low => Some(mask(from_hex(seed), Sign::Add)),
                _ if index == *high => Some(mask(from_hex(seed), Sign::Subtract)),
                _ => None,
            });
            let masks: Vec<_> = std::iter::once(own).chain(shared).collect();
            let mut bytes = to_bytes(*modulus, participant.input);
            apply(*modulus, &masks, 0, &mut bytes).unwrap();
            assert_eq!(to_elements(*modulus, &bytes), participant.masked_input);
            add(*modulus, &mut total, &bytes).unwrap();
        }
        let own: Vec<_> =
            participants.iter().map(|each| mask(from_hex(each.self_seed), Sign::Subtract)).collect();
        apply(*modulus, &own, 0, &mut total).unwrap();
        assert_eq!(to_elements(*modulus, &total), *sum);
    }
}

#[test]
fn a_vector_masked_in_ranges_of_any_size_is_the_one_masked_at_once() {
    let seed = [3; 32];
    for modulus in MODULI {
        let elements = 2 * CHUNK_BYTES / modulus.bytes() + 100;
        let expected = stream(modulus, seed, 0, elements);
        let mut buffer = KeystreamBuffer::new();
        for piece in [elements, 1 + elements / 3, 100_003] {
            let mut bytes = vec![0; expected.len()];
            for (index, bytes) in bytes.chunks_mut(piece * modulus.bytes()).enumerate() {
                let first = (index * piece) as u64;
                buffer.apply(modulus, &[mask(seed, Sign::Add)], first, bytes).unwrap();
            }
            assert!(bytes == expected, "{modulus:?}, {piece}");
        }
        assert!(buffer.stream.iter().all(|byte| *byte == 0), "nothing is left of a keystream");
    }
}

#[test]
fn chunks_hold_every_element_once_and_begin_where_the_keystream_does() {
    for modulus in MODULI {
        let bytes = modulus.bytes() as u64;
        for elements in [0, 1, 349_525, 349_526, 524_288, 1_048_576, 1_048_577, 1_663_370] {
            let chunks: Vec<_> = (0..modulus.chunks(elements)).map(|n| modulus.chunk(n, elements)).collect();
            assert!(chunks.iter().all(|range| range.start < range.end));
            assert!(chunks.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!(chunks.first().map_or(0, |range| range.start), 0);
            assert_eq!(chunks.last().map_or(0, |range| range.end), elements);
            for (chunk, range) in (0..).zip(chunks) {
                let place = range.start * bytes;
                assert!(place / CHUNK_BYTES as u64 == chunk && place % (CHUNK_BYTES as u64) < bytes);
            }
        }
        assert!(modulus.chunk(7, 10).is_empty());
    }
}

#[test]
fn what_are_not_whole_elements_is_refused_and_left_as_it_was() {
    let masks = [mask([1; 32], Sign::Add)];
    let mut bytes = [0; 7];
    assert_eq!(
        apply(Modulus::B24, &masks, 0, &mut bytes),
        Err(MaskError::PartialElement { element: 3, found: 7 })
    );
    assert_eq!(add(Modulus::B16, &mut bytes[..4], &[0; 2]), Err(MaskError::Length { expected: 4, found: 2 }));
    let found = u64::MAX / 4;
    assert_eq!(apply(Modulus::B32, &masks, found, &mut bytes[..4]), Err(MaskError::Place { found }));
    assert_eq!(bytes, [0; 7]);
    assert_eq!(Modulus::try_from(8), Err(MaskError::Modulus { found: 8 }));
}

#[test]
fn secrets_are_not_printed() {
    let mask = Mask { seed: MaskSeed::new([42; 32].into()), sign: Sign::Add };
    assert_eq!(format!("{mask:?}"), "Mask { seed: MaskSeed(..), sign: Add }");
    assert_eq!(format!("{:?}", mask.prepare().unwrap()), "PreparedMask { sign: Add, .. }");
}

fn modulus() -> impl Strategy<Value = Modulus> {
    prop::sample::select(&MODULI[..])
}

proptest! {
    #[test]
    fn elements_are_added_and_taken_away_modulo_the_modulus(
        modulus in modulus(),
        pairs in prop::collection::vec((any::<u32>(), any::<u32>()), 0..100),
    ) {
        let (ours, theirs): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        let most = u32::MAX >> (32 - modulus.bits());
        let expect = |combine: fn(u32, u32) -> u32| -> Vec<u32> {
            ours.iter().zip(&theirs).map(|(ours, theirs)| combine(*ours, *theirs) & most).collect()
        };
        let mut bytes = to_bytes(modulus, &ours);
        add(modulus, &mut bytes, &to_bytes(modulus, &theirs)).unwrap();
        prop_assert_eq!(to_elements(modulus, &bytes), expect(u32::wrapping_add));
        bytes = to_bytes(modulus, &ours);
        sum::combine(modulus, Sign::Subtract, &mut bytes, &to_bytes(modulus, &theirs));
        prop_assert_eq!(to_elements(modulus, &bytes), expect(u32::wrapping_sub));
    }

    #[test]
    fn a_range_anywhere_gets_its_part_of_the_mask(
        modulus in modulus(),
        seed: [u8; 32],
        around in 0_u64..3,
        before in 0_u64..40,
        elements in 0_usize..80,
    ) {
        let first = modulus.chunk(around, u64::MAX).start.saturating_sub(before);
        let mut bytes = vec![0; elements * modulus.bytes()];
        apply(modulus, &[mask(seed, Sign::Add)], first, &mut bytes).unwrap();
        prop_assert_eq!(bytes, stream(modulus, seed, first, elements));
    }

    #[test]
    fn a_mask_and_its_opposite_cancel(modulus in modulus(), seed: [u8; 32], plain: Vec<u32>, first: u16) {
        let plain = to_bytes(modulus, &plain);
        let mut bytes = plain.clone();
        let masks = [mask(seed, Sign::Add), mask([9; 32], Sign::Add), mask(seed, Sign::Add.opposite())];
        apply(modulus, &masks, first.into(), &mut bytes).unwrap();
        apply(modulus, &[mask([9; 32], Sign::Subtract)], first.into(), &mut bytes).unwrap();
        prop_assert_eq!(bytes, plain);
    }
}
