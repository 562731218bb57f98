use super::{ConfigError, raw::RawCompression};
use crate::compression::{Codec, Encoding, Fraction};

/// Checks the table `[compression]`.
pub(super) fn compression(raw: &RawCompression) -> Result<Encoding, ConfigError> {
    let codec = match raw.codec.as_str() {
        "none" => Codec::F32,
        "bf16" => Codec::Bf16,
        "f16" => Codec::F16,
        "int8" => Codec::Int8,
        "int4" => Codec::Int4,
        "top-k" => return Ok(Encoding { codec: Codec::TopK(fraction(raw.fraction)?), zstd: raw.zstd }),
        other => {
            let expected = "\"none\", \"bf16\", \"f16\", \"int8\", \"int4\" or \"top-k\"";
            let hint = if other == "zstd" { "zstd comes on top of a codec: write zstd = true" } else { "" };
            return Err(ConfigError::text("compression.codec", expected, other, hint));
        }
    };
    match raw.fraction {
        None => Ok(Encoding { codec, zstd: raw.zstd }),
        Some(found) => {
            let hint = "only \"top-k\" sends a fraction; remove it, or use another compression.codec";
            Err(ConfigError::value("compression.fraction", "nothing", found, hint))
        }
    }
}

fn fraction(fraction: Option<f64>) -> Result<Fraction, ConfigError> {
    let path = "compression.fraction";
    let expected = "a number between 0.000001 and 1 with at most six decimal places";
    let hint = "the share of elements that is sent, for instance 0.01";
    let fraction = fraction.ok_or_else(|| ConfigError::value(path, expected, "nothing", hint))?;
    Fraction::new(fraction).map_err(|_| ConfigError::value(path, expected, fraction, hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::JobConfig;

    fn parse(table: &str) -> Result<Encoding, String> {
        let job = format!(
            r#"
            name = "heart"
            rounds = 1
            model = {{ initial = "initial.safetensors" }}
            strategy = {{ kind = "fedsgd", learning_rate = 0.1 }}
            cohort = {{ min_participants = 1 }}
            {table}
            "#
        );
        JobConfig::parse(&job).map(|job| job.compression).map_err(|error| error.to_string())
    }

    #[test]
    fn each_codec_is_read_with_and_without_zstd() {
        assert_eq!(parse(""), Ok(Encoding::PLAIN));
        for (codec, name) in [
            ("\"none\"", "f32"),
            ("\"bf16\"", "bf16"),
            ("\"f16\"", "f16"),
            ("\"int8\"", "int8"),
            ("\"int4\"", "int4"),
            ("\"top-k\", fraction = 0.01", "top-k:0.01"),
            ("\"top-k\", fraction = 1.0", "top-k:1"),
        ] {
            let plain: Encoding = name.parse().unwrap();
            assert_eq!(parse(&format!("compression = {{ codec = {codec} }}")), Ok(plain));
            let found = parse(&format!("compression = {{ codec = {codec}, zstd = true }}"));
            assert_eq!(found, Ok(Encoding { zstd: true, ..plain }));
        }
    }

    #[test]
    fn each_mistake_is_named_with_what_was_expected_and_found() {
        for (fields, expected) in [
            ("codec = \"int16\"", "compression.codec: expected \"none\", \"bf16\", \"f16\""),
            ("codec = \"int16\"", "or \"top-k\", found \"int16\""),
            ("codec = \"zstd\"", "found \"zstd\" (zstd comes on top of a codec: write zstd = true)"),
            ("codec = \"top-k\"", "compression.fraction: expected a number between 0.000001 and 1"),
            ("codec = \"top-k\"", "found nothing (the share of elements that is sent, for instance 0.01)"),
            ("codec = \"top-k\", fraction = 0.0", "found 0 (the share"),
            ("codec = \"top-k\", fraction = 1.5", "found 1.5 (the share"),
            ("codec = \"top-k\", fraction = 0.0000015", "at most six decimal places, found 0.0000015"),
            ("codec = \"int8\", fraction = 0.5", "compression.fraction: expected nothing, found 0.5"),
            ("zstd = true", "missing field `codec`"),
            ("codec = \"int8\", level = 3", "unknown field `level`"),
        ] {
            let found = parse(&format!("compression = {{ {fields} }}")).unwrap_err();
            assert!(found.contains(expected), "{fields}: {found}");
        }
    }
}
