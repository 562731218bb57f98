use proptest::prelude::*;

use super::*;

const ALICE: &str = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
const BOB: &str = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";

fn secret(text: &str) -> SealSecret {
    SealSecret::from_bytes(Zeroizing::new(*text.parse::<crate::ids::Digest>().unwrap().as_bytes()))
}

fn pair() -> SharePair {
    SharePair {
        mask_secret: ShareValue::from_bytes([0xA1; 32]),
        self_mask: ShareValue::from_bytes([0xB2; 32]),
    }
}

fn sealed(session: &SessionId, from: u32, to: u32) -> SealedShares {
    seal(&secret(ALICE), &secret(BOB).public(), session, from, to, &pair()).unwrap()
}

/// Made with Python's `cryptography`, from the description at the top of this module.
#[test]
fn sealed_shares_are_those_of_another_implementation() {
    let expected = "6c8af525b229bd73533c91eadabe6270402d706cbee0a091104b4d3261488e00c6a59376d9134774564ec79e09487da3\
                    da609cb1fcc4c5e5d70a7dd840d1c9bc56ac3ffcdff53365c0e691eb4f5233964ed3b2cc36288915";
    let found = sealed(&[0x51; 32].into(), 3, 258);
    assert_eq!(found.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
}

#[test]
fn the_receiver_reads_what_the_sender_sealed() {
    let session = SessionId::from([1; 32]);
    let sealed = sealed(&session, 0, 1);
    let opened = open(&secret(BOB), &secret(ALICE).public(), &session, 0, 1, &sealed).unwrap();
    assert_eq!(opened.mask_secret.as_bytes(), pair().mask_secret.as_bytes());
    assert_eq!(opened.self_mask.as_bytes(), pair().self_mask.as_bytes());
}

#[test]
fn shares_of_another_session_sender_receiver_or_key_are_refused() {
    let (bob, alice, session) = (secret(BOB), secret(ALICE).public(), SessionId::from([1; 32]));
    let sealed = sealed(&session, 3, 4);
    let other = SessionId::from([2; 32]);
    for (session, from, to) in [(&other, 3, 4), (&session, 2, 4), (&session, 3, 5), (&session, 4, 3)] {
        let found = open(&bob, &alice, session, from, to, &sealed).unwrap_err();
        assert_eq!(found, SealError::Forged { from, to });
    }
    let carol = secret(&"11".repeat(32));
    let forged = SealError::Forged { from: 3, to: 4 };
    assert_eq!(open(&carol, &alice, &session, 3, 4, &sealed).unwrap_err(), forged);
    assert_eq!(open(&bob, &carol.public(), &session, 3, 4, &sealed).unwrap_err(), forged);
}

#[test]
fn a_key_of_low_order_seals_and_opens_nothing() {
    let (session, zero) = (SessionId::from([1; 32]), AgreementPublic::from([0; 32]));
    assert_eq!(seal(&secret(ALICE), &zero, &session, 0, 1, &pair()), Err(KeyError::LowOrder));
    let found = open(&secret(BOB), &zero, &session, 0, 1, &sealed(&session, 0, 1)).unwrap_err();
    assert_eq!(found, SealError::Key(KeyError::LowOrder));
}

#[test]
fn sealed_shares_have_one_length() {
    assert_eq!(SealedShares::BYTES, 88);
    for found in [0, 87, 89, 1_000] {
        let expected = SealError::Length { expected: 88, found };
        assert_eq!(SealedShares::try_from(&vec![0; found][..]), Err(expected));
    }
    let sealed = sealed(&[1; 32].into(), 0, 1);
    let written = crate::checkpoint::encode(&sealed).unwrap();
    assert_eq!(crate::checkpoint::decode::<SealedShares>(&written).unwrap(), sealed);
    let short = crate::checkpoint::encode(&vec![0_u8; 87]).unwrap();
    assert!(crate::checkpoint::decode::<SealedShares>(&short).is_err());
}

#[test]
fn nothing_of_the_shares_is_printed() {
    assert_eq!(
        format!("{:?}", pair()),
        "SharePair { mask_secret: ShareValue(..), self_mask: ShareValue(..) }"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bit_that_flips_is_noticed(at in 0..SealedShares::BYTES, bit in 0_u32..8) {
        let session = SessionId::from([1; 32]);
        let mut bytes = *sealed(&session, 0, 1).as_bytes();
        bytes[at] ^= 1 << bit;
        let changed = SealedShares::try_from(&bytes[..]).unwrap();
        let found = open(&secret(BOB), &secret(ALICE).public(), &session, 0, 1, &changed).unwrap_err();
        prop_assert_eq!(found, SealError::Forged { from: 0, to: 1 });
    }
}
