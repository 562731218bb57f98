use std::{fmt, str::FromStr};

/// How updates are compressed: what the job's `[compression]` table says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Compression {
    codec: Codec,
    zstd: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Codec {
    None,
    Bf16,
    F16,
    Int8,
    Int4,
    /// The share of values that is sent; the job's default when left out.
    TopK(Option<f64>),
}

impl Codec {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
            Self::TopK(_) => "top-k",
        }
    }
}

impl Compression {
    /// Whether the values arrive as they were sent.
    pub(crate) const fn is_lossless(self) -> bool {
        matches!(self.codec, Codec::None)
    }

    /// The job's table; empty when nothing is compressed.
    pub(crate) fn to_toml(self) -> String {
        let Self { codec, zstd } = self;
        if codec == Codec::None && !zstd {
            return String::new();
        }
        let mut table = format!("[compression]\ncodec = \"{}\"\n", codec.name());
        if let Codec::TopK(Some(fraction)) = codec {
            table += &format!("fraction = {fraction:?}\n");
        }
        if zstd {
            table += "zstd = true\n";
        }
        table
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (codec, zstd) = text.strip_suffix("+zstd").map_or((text, false), |codec| (codec, true));
        let expected = || {
            format!(
                "expected none, bf16, f16, int8, int4 or top-k[:FRACTION], each with +zstd or without, found `{text}`"
            )
        };
        let codec = match codec.split_once(':') {
            None => match codec {
                "none" => Codec::None,
                "bf16" => Codec::Bf16,
                "f16" => Codec::F16,
                "int8" => Codec::Int8,
                "int4" => Codec::Int4,
                "top-k" => Codec::TopK(None),
                _ => return Err(expected()),
            },
            Some(("top-k", fraction)) => Codec::TopK(Some(parse_fraction(fraction)?)),
            Some(_) => return Err(expected()),
        };
        Ok(Self { codec, zstd })
    }
}

fn parse_fraction(text: &str) -> Result<f64, String> {
    let within = |fraction: &f64| *fraction > 0.0 && *fraction <= 1.0;
    text.parse()
        .ok()
        .filter(within)
        .ok_or_else(|| format!("expected a fraction above 0 and at most 1 after `top-k:`, found `{text}`"))
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.codec.name())?;
        if let Codec::TopK(Some(fraction)) = self.codec {
            write!(f, ":{fraction}")?;
        }
        f.write_str(if self.zstd { "+zstd" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_shown_as_it_is_written() {
        for text in
            ["none", "bf16", "f16", "int8", "int4", "top-k", "top-k:0.01", "int8+zstd", "top-k:0.1+zstd"]
        {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), text);
        }
        for bad in
            ["", "zstd", "+zstd", "int8:0.1", "top-k:", "top-k:0", "top-k:1.1", "top-k:NaN", "int8+gzip"]
        {
            assert!(bad.parse::<Compression>().is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn the_job_s_table_says_what_was_asked_for_and_nothing_else() {
        let table = |text: &str| text.parse::<Compression>().unwrap().to_toml();
        assert_eq!(table("none"), "");
        assert_eq!(table("none+zstd"), "[compression]\ncodec = \"none\"\nzstd = true\n");
        assert_eq!(table("int8"), "[compression]\ncodec = \"int8\"\n");
        assert_eq!(table("top-k:0.01"), "[compression]\ncodec = \"top-k\"\nfraction = 0.01\n");
        assert!(!"int8".parse::<Compression>().unwrap().is_lossless());
        assert!("none+zstd".parse::<Compression>().unwrap().is_lossless());
    }
}
