use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use zeroize::Zeroizing;

use super::*;
use crate::ids::Digest;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex32(text: &str) -> [u8; 32] {
    bytes::from_hex(text).unwrap()
}

fn secret(text: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(hex32(text))
}

#[test]
fn agreement_matches_rfc_7748_section_5_2() {
    let cases = [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ];
    for (scalar, point, expected) in cases {
        assert_eq!(*agree(&hex32(scalar), &point.parse().unwrap()).unwrap(), hex32(expected));
    }
}

#[test]
fn agreement_a_thousand_times_over_matches_rfc_7748_section_5_2() {
    let nine = hex32("0900000000000000000000000000000000000000000000000000000000000000");
    let (mut scalar, mut point) = (nine, nine);
    for round in 1..=1_000 {
        let next = *agree(&scalar, &point.into()).unwrap();
        (scalar, point) = (next, scalar);
        if round == 1 {
            assert_eq!(scalar, hex32("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(scalar, hex32("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

const ALICE: &str = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
const BOB: &str = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";

#[test]
fn agreement_matches_rfc_7748_section_6_1() {
    let (alice, bob) = (MaskSecret::from_bytes(secret(ALICE)), SealSecret::from_bytes(secret(BOB)));
    let expected = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    assert_eq!(alice.public().to_string(), expected);
    let expected = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    assert_eq!(bob.public().to_string(), expected);
    let shared = hex32("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!(*agree(alice.bytes(), &bob.public()).unwrap(), shared);
    assert_eq!(*agree(bob.bytes(), &alice.public()).unwrap(), shared);
}

/// All points of order 1, 2, 4 and 8, also as numbers that are not reduced.
#[test]
fn keys_of_low_order_are_refused() {
    let zero_bit = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .map(hex32);
    let mine = MaskSecret::from_bytes(secret(ALICE));
    let (session, model) = (SessionId::from([1; 32]), Digest::of(b"model"));
    for mut point in zero_bit {
        for _ in 0..2 {
            let found = pair_seed(&mine, &point.into(), &session, 0, 1, &model);
            assert_eq!(found.unwrap_err(), KeyError::LowOrder, "{}", AgreementPublic::from(point));
            point[31] ^= 0x80;
        }
    }
}

#[test]
fn hkdf_matches_rfc_5869_appendix_a() {
    let (salt, info) = (hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"));
    let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
    let found = hkdf_sha256::<42>(&salt, &[0x0b; 22], &[&info]);
    assert_eq!(found[..], hex(expected), "A.1");
    let (first, last) = info.split_at(3);
    assert_eq!(hkdf_sha256::<42>(&salt, &[0x0b; 22], &[first, &[], last]), found, "the same info in parts");

    let long = |from: u8, to: u8| (from..=to).collect::<Vec<_>>();
    let expected = "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e59\
                    0e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87";
    let found = hkdf_sha256::<82>(&long(0x60, 0xaf), &long(0x00, 0x4f), &[&long(0xb0, 0xff)]);
    assert_eq!(found[..], hex(expected), "A.2");

    let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
    assert_eq!(hkdf_sha256::<42>(&[], &[0x0b; 22], &[])[..], hex(expected), "A.3");
}

/// RFC 8032, section 7.1: tests 1, 2, 3 and SHA(abc).
#[test]
fn signatures_match_rfc_8032_section_7_1() {
    let abc = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
               2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    let cases = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
             387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
             4a7c15e9716ed28dc027beceea1ec40a",
        ),
        (
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            abc,
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030\
             3dca179c138ac17ad9bef1177331a704",
        ),
    ];
    for (seed, public, message, signature) in cases {
        let (key, message) = (SigningSecret::from_seed(secret(seed)), hex(message));
        assert_eq!(key.public().to_string(), public);
        assert_eq!(key.sign(&message).to_string(), signature);
        let (public, signature): (VerifyingPublic, Signature) =
            (public.parse().unwrap(), signature.parse().unwrap());
        assert_eq!(public.verify(&message, &signature), Ok(()));
        assert_eq!(public.verify(b"another", &signature), Err(KeyError::Signature { key: public }));
        let mut changed = *signature.as_bytes();
        changed[40] ^= 1;
        assert!(public.verify(&message, &changed.into()).is_err());
        assert!(VerifyingPublic::from([2; 32]).verify(&message, &signature).is_err());
    }
}

/// A session of three, by an independent implementation in Python.
#[test]
fn seeds_are_those_of_another_implementation() {
    let session: SessionId =
        "bf77df27e32b738e8ba7b0326b31d6bd8c54228d1afc72483315af1c7b207afa".parse().unwrap();
    let model: Digest = "ec0644226350697ec6ac68945b2f5c7243df067836473819076d2909997ba072".parse().unwrap();
    let masks = [ALICE, BOB, &"11".repeat(32)].map(|text| MaskSecret::from_bytes(secret(text)));
    let public: Vec<_> = masks.iter().map(MaskSecret::public).collect();
    let expected = "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13";
    assert_eq!(public[2].to_string(), expected);
    let pairs = [
        (0, 1, "57416f55e43bdfdd7ff7fc12bc733b3c8c9b26667aa4109bb5c3e373a0ca143e"),
        (0, 2, "84e64562c43e0986c14a5b5eb2470c4c23336f2f17e6f649425560d7e36adb23"),
        (1, 2, "84b100e6297c651af1c427cb715a80b52d41abae24d247084faaff66827d58d5"),
    ];
    for (low, high, expected) in pairs {
        for (me, them) in [(low, high), (high, low)] {
            let (me_u32, them_u32) = (u32::try_from(me).unwrap(), u32::try_from(them).unwrap());
            let seed = pair_seed(&masks[me], &public[them], &session, me_u32, them_u32, &model).unwrap();
            assert_eq!(*seed.as_bytes(), hex32(expected), "{me} with {them}");
        }
    }
    let own = [
        "fd6af7ac454b9e6eca8caf0a63058042e90f9ac23ce2bac574c4f9aff9b08cff",
        "f24c5fc9f02f27de14ba5c92ac71a2d37fa8c4b586256e41c6bad21e4b55d58f",
        "2bf46fe9a37315687d6b6816d15acf52c51e71b6e4ffd5d4897e63c82709102e",
    ];
    for (me, (byte, expected)) in (0..).zip([0xa0, 0xa1, 0xa2].into_iter().zip(own)) {
        let secret = SelfMaskSecret::from_bytes(Zeroizing::new([byte; 32]));
        assert_eq!(*self_seed(&secret, &session, me, &model).as_bytes(), hex32(expected), "{me}");
    }
}

#[test]
fn another_session_model_or_participant_gives_another_seed() {
    let (mine, theirs) =
        (MaskSecret::from_bytes(secret(ALICE)), MaskSecret::from_bytes(secret(BOB)).public());
    let own = SelfMaskSecret::from_bytes(secret(ALICE));
    let (session, model) = (SessionId::from([1; 32]), Digest::of(b"model"));
    let (other_session, other_model) = (SessionId::from([2; 32]), Digest::of(b"another"));
    let cases = [
        (&session, 0, &model),
        (&other_session, 0, &model),
        (&session, 2, &model),
        (&session, 0, &other_model),
    ];
    let mut seeds: Vec<_> = cases
        .iter()
        .flat_map(|(session, me, model)| {
            let pair = pair_seed(&mine, &theirs, session, *me, 1, model).unwrap();
            [*pair.as_bytes(), *self_seed(&own, session, *me, model).as_bytes()]
        })
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 8);
}

#[test]
fn a_commitment_is_the_digest_of_its_purpose_and_the_secret() {
    let own = SelfMaskSecret::from_bytes(secret(ALICE));
    let bytes = [&b"flsa/v1 self-mask commitment"[..], &hex(ALICE)].concat();
    assert_eq!(own.commitment().as_bytes(), crate::ids::Fingerprint::of(&bytes).as_bytes());
}

#[test]
fn secrets_are_drawn_from_the_generator_that_is_given() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let (first, second) = (MaskSecret::generate(&mut rng), MaskSecret::generate(&mut rng));
    assert_ne!(first.bytes(), second.bytes());
    let again = SealSecret::generate(&mut ChaCha20Rng::seed_from_u64(3));
    assert_eq!(first.bytes(), again.bytes());
    assert_ne!(SelfMaskSecret::generate(&mut rng).bytes(), &[0; 32]);
}

#[test]
fn secrets_print_nothing() {
    let [a, b, c, d, e] = [0; 5].map(|_| Zeroizing::new([0xAB; 32]));
    let printed = [
        format!("{:?}", MaskSecret::from_bytes(a)),
        format!("{:?}", SealSecret::from_bytes(b)),
        format!("{:?}", SelfMaskSecret::from_bytes(c)),
        format!("{:?}", crate::privacy::secagg::MaskSeed::new(d)),
        format!("{:?}", SigningSecret::from_seed(e)),
    ];
    let expected =
        ["MaskSecret(..)", "SealSecret(..)", "SelfMaskSecret(..)", "MaskSeed(..)", "SigningSecret(..)"];
    assert_eq!(printed, expected);
}

#[test]
fn keys_of_the_wrong_form_are_refused() {
    assert!("zz".parse::<VerifyingPublic>().is_err());
    assert!("+f".repeat(32).parse::<VerifyingPublic>().is_err());
    let kind = "an Ed25519 signature";
    let expected = KeyError::Length { kind, expected: 64, found: 32 };
    assert_eq!(Signature::try_from(&[0; 32][..]), Err(expected));
    let public = VerifyingPublic::from([0x5a; 32]);
    assert_eq!(public.to_string().parse(), Ok(public));
}

#[test]
fn a_signature_survives_being_written_down() {
    let mut signature = [0; 64];
    signature.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n);
    let signature = Signature::from(signature);
    let written = crate::checkpoint::encode(&signature).unwrap();
    assert!(written.ends_with(signature.as_bytes()));
    let read: Signature = crate::checkpoint::decode(&written).unwrap();
    assert_eq!(signature, read);
}

#[test]
fn a_signing_key_is_read_back_from_its_text_and_a_wrong_text_is_not_shown() {
    let key =
        SigningSecret::from_seed(secret("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
    let text = key.to_hex();
    assert_eq!(*text, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let read: SigningSecret = format!("{}\n", *text).parse().unwrap();
    assert_eq!(read.public(), key.public());
    for wrong in ["", "00", &"x".repeat(64), &"0".repeat(66), &"+f".repeat(32)] {
        let error = wrong.parse::<SigningSecret>().unwrap_err();
        assert_eq!(error, KeyError::SecretHex);
        assert!(wrong.is_empty() || !error.to_string().contains(wrong) || wrong == "00", "{error}");
    }
}
