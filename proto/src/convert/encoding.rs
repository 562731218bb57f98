use federated_core::compression::{Codec, Encoding, Fraction};

use crate::{WireError, v1};

/// An encoding as a message; none for plain.
pub(super) fn to_wire(encoding: Encoding) -> Option<v1::UpdateEncoding> {
    if encoding.is_plain() {
        return None;
    }
    let (codec, fraction_millionths) = match encoding.codec {
        Codec::F32 => (v1::UpdateCodec::F32, 0),
        Codec::Bf16 => (v1::UpdateCodec::Bf16, 0),
        Codec::F16 => (v1::UpdateCodec::F16, 0),
        Codec::Int8 => (v1::UpdateCodec::Int8, 0),
        Codec::Int4 => (v1::UpdateCodec::Int4, 0),
        Codec::TopK(fraction) => (v1::UpdateCodec::TopK, fraction.millionths()),
        // A codec without a number here cannot be asked for: the receiver refuses it by name.
        _ => (v1::UpdateCodec::Unspecified, 0),
    };
    Some(v1::UpdateEncoding { codec: codec.into(), fraction_millionths, zstd: encoding.zstd })
}

/// The encoding that a message names; plain when it is absent.
pub(super) fn from_wire(
    field: &'static str,
    wire: Option<v1::UpdateEncoding>,
) -> Result<Encoding, WireError> {
    let Some(wire) = wire else { return Ok(Encoding::PLAIN) };
    let unusable =
        |expected: &str, found: String| WireError::Encoding { field, expected: expected.to_owned(), found };
    let codec = match wire.codec() {
        v1::UpdateCodec::F32 => Codec::F32,
        v1::UpdateCodec::Bf16 => Codec::Bf16,
        v1::UpdateCodec::F16 => Codec::F16,
        v1::UpdateCodec::Int8 => Codec::Int8,
        v1::UpdateCodec::Int4 => Codec::Int4,
        v1::UpdateCodec::TopK => {
            let found = wire.fraction_millionths;
            let fraction = Fraction::from_millionths(found);
            let expected = "top-k with a fraction of 1 to 1,000,000 millionths";
            Codec::TopK(fraction.map_err(|_| unusable(expected, found.to_string()))?)
        }
        v1::UpdateCodec::Unspecified => {
            return Err(unusable("a codec that is known here", format!("number {}", wire.codec)));
        }
    };
    Ok(Encoding { codec, zstd: wire.zstd })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_survives_the_trip_and_plain_is_absent() {
        for name in ["f32", "bf16", "f16", "int8", "int4", "top-k:0.01"] {
            for text in [name.to_owned(), format!("{name}+zstd")] {
                let encoding: Encoding = text.parse().unwrap();
                assert_eq!(from_wire("encoding", to_wire(encoding)), Ok(encoding));
            }
        }
        assert_eq!(to_wire(Encoding::PLAIN), None);
        let spelled_out = v1::UpdateEncoding { codec: v1::UpdateCodec::F32.into(), ..Default::default() };
        assert_eq!(from_wire("encoding", Some(spelled_out)), Ok(Encoding::PLAIN));
    }

    #[test]
    fn an_unknown_codec_and_an_impossible_fraction_are_refused() {
        let wire =
            |codec, fraction_millionths| v1::UpdateEncoding { codec, fraction_millionths, zstd: false };
        let refused = |wire| from_wire("header.encoding", Some(wire)).unwrap_err();
        let error = refused(wire(99, 0));
        let words = "field `header.encoding`: expected a codec that is known here, found number 99";
        assert_eq!((error.to_string().as_str(), error.reason().as_str()), (words, "UPDATE_WRONG_ENCODING"));
        let top_k = v1::UpdateCodec::TopK.into();
        for fraction in [0, 1_000_001, u32::MAX] {
            assert!(refused(wire(top_k, fraction)).to_string().ends_with(&format!("found {fraction}")));
        }
        assert!(refused(wire(0, 0)).is_about_content());
    }
}
