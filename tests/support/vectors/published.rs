use anyhow::{Context, Result};
use federated_core::privacy::secagg::{
    AgreementPublic, Signature, SigningSecret, VerifyingPublic,
    keys::{agree, hkdf_sha256},
};

use super::difference::{bytes, bytes32, equal_hex};

/// Checks key agreement, key derivation and signatures against what the RFCs print.
///
/// # Errors
/// The first [`Difference`](super::Difference).
pub fn check_published() -> Result<()> {
    AGREEMENT.iter().try_for_each(check_agreement)?;
    check_iterated_agreement()?;
    check_derivation()?;
    SIGNATURES.iter().try_for_each(check_signature)
}

/// Section, scalar, u-coordinate, and the u-coordinate that comes out.
const AGREEMENT: [[&str; 4]; 6] = [
    [
        "RFC 7748 5.2, first",
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ],
    [
        "RFC 7748 5.2, second",
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ],
    ["RFC 7748 6.1, Alice's public key", ALICE, BASE, ALICE_PUBLIC],
    ["RFC 7748 6.1, Bob's public key", BOB, BASE, BOB_PUBLIC],
    ["RFC 7748 6.1, Alice's shared secret", ALICE, BOB_PUBLIC, SHARED],
    ["RFC 7748 6.1, Bob's shared secret", BOB, ALICE_PUBLIC, SHARED],
];
const BASE: &str = "0900000000000000000000000000000000000000000000000000000000000000";
const ALICE: &str = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
const ALICE_PUBLIC: &str = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
const BOB: &str = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
const BOB_PUBLIC: &str = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
const SHARED: &str = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";

fn check_agreement([at, scalar, point, expected]: &[&'static str; 4]) -> Result<()> {
    let point: AgreementPublic = point.parse().context(*at)?;
    equal_hex(at, expected, &agree(&bytes32(at, scalar)?, &point).context(*at)?[..])
}

fn check_iterated_agreement() -> Result<()> {
    let at = "RFC 7748 5.2, 1,000 iterations";
    let (mut scalar, mut point) = (bytes32(at, BASE)?, bytes32(at, BASE)?);
    for _ in 0..1_000 {
        (scalar, point) = (*agree(&scalar, &point.into()).context(at)?, scalar);
    }
    equal_hex(at, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51", &scalar)
}

fn check_derivation() -> Result<()> {
    let range = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let made = hkdf_sha256::<42>(&range(0x00, 0x0c), &[0x0b; 22], &[&range(0xf0, 0xf9)]);
    equal_hex(
        "RFC 5869 A.1",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        &made[..],
    )?;
    let made = hkdf_sha256::<82>(&range(0x60, 0xaf), &range(0x00, 0x4f), &[&range(0xb0, 0xff)]);
    equal_hex(
        "RFC 5869 A.2",
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
         da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        &made[..],
    )?;
    equal_hex(
        "RFC 5869 A.3",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        &hkdf_sha256::<42>(&[], &[0x0b; 22], &[])[..],
    )
}

/// Section, secret key, public key, message and signature.
const SIGNATURES: [[&str; 5]; 4] = [
    [
        "RFC 8032 7.1, test 1",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
         d25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "RFC 8032 7.1, test 2",
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
         387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "RFC 8032 7.1, test 3",
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
         4a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "RFC 8032 7.1, test SHA(abc)",
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd\
         454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030\
         3dca179c138ac17ad9bef1177331a704",
    ],
];

fn check_signature([at, secret, public, message, expected]: &[&'static str; 5]) -> Result<()> {
    let secret = SigningSecret::from_seed(bytes32(at, secret)?.into());
    equal_hex(at, public, secret.public().as_bytes())?;
    let message = bytes(at, message)?;
    equal_hex(at, expected, secret.sign(&message).as_bytes())?;
    let (public, signature): (VerifyingPublic, Signature) =
        (public.parse().context(*at)?, expected.parse().context(*at)?);
    public.verify(&message, &signature).context(*at)
}
