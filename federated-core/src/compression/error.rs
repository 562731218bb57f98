use crate::fault::{Fault, ReasonCode};

/// Why values cannot be encoded, or bytes cannot be decoded.
///
/// Elements and blocks are counted from 0 over the whole update.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// The text names no encoding.
    #[error(
        "expected an encoding such as `f32`, `bf16`, `f16`, `int8`, `int4` or `top-k:0.01`, each also with `+zstd`, \
         found `{found}`"
    )]
    UnknownEncoding {
        /// The text.
        found: String,
    },
    /// The share of elements to send is out of range.
    #[error("expected a fraction between 0.000001 and 1 in whole millionths, found {found}")]
    Fraction {
        /// The fraction.
        found: f64,
    },
    /// Two vectors that belong together differ in length.
    #[error("expected {expected} values, found {found}")]
    ValueCount {
        /// Values expected.
        expected: u64,
        /// Values found.
        found: u64,
    },
    /// There is no block of this number, or the block has another number of elements.
    #[error("expected a block of {expected} elements, found {found}")]
    BlockLength {
        /// Elements that the block has; 0 when there is no such block.
        expected: usize,
        /// Elements asked for.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error("element {element}: expected a finite number, found {found}")]
    NotFinite {
        /// The element.
        element: u64,
        /// `NaN`, `inf` or `-inf`.
        found: f32,
    },
    /// A value is too large to be summed exactly.
    #[error("element {element}: expected a magnitude below 2^31, found {found}")]
    TooLarge {
        /// The element.
        element: u64,
        /// The value.
        found: f32,
    },
    /// A value is too large for 16-bit floats.
    #[error(
        "element {element}: expected a magnitude below 65,520, as f16 needs, found {found}; bf16 can hold it"
    )]
    Overflow {
        /// The element.
        element: u64,
        /// The value.
        found: f32,
    },
    /// A payload cannot have this length.
    #[error("block {block}: expected a payload of {least} to {most} bytes, found {found}")]
    PayloadLength {
        /// The block.
        block: u64,
        /// Fewest bytes that such a block takes.
        least: usize,
        /// Most bytes that such a block takes.
        most: usize,
        /// Bytes found.
        found: usize,
    },
    /// The scale of a group of quantised elements is negative, NaN, or so large that a value would be 2^31 or more.
    #[error(
        "elements from {element} on: expected a scale of at least 0, with values below 2^31, found {found}"
    )]
    Scale {
        /// The first element of the group.
        element: u64,
        /// The scale.
        found: f32,
    },
    /// A quantised element is the one integer that has no negative, or padding is not zero.
    #[error(
        "elements from {element} on: expected integers of at most {most} in magnitude and zeros after the last"
    )]
    Level {
        /// The first element of the group.
        element: u64,
        /// The largest magnitude.
        most: i8,
    },
    /// The places of the elements that were sent run past the end of the block.
    #[error("block {block}: expected places below {elements}, found {found}")]
    Place {
        /// The block.
        block: u64,
        /// Elements in the block.
        elements: usize,
        /// The place.
        found: usize,
    },
    /// zstd could not compress: there is no memory for it.
    #[error("expected zstd to compress a block: {detail}")]
    Compress {
        /// What zstd says.
        detail: String,
    },
    /// What arrived is not a zstd frame of the right size.
    #[error("block {block}: expected a zstd frame of at most {most} bytes when decompressed: {detail}")]
    Zstd {
        /// The block.
        block: u64,
        /// Most bytes that the block takes without zstd.
        most: usize,
        /// What zstd says.
        detail: String,
    },
    /// The bytes end before the last block does.
    #[error("expected {expected} blocks, found {found}")]
    Truncated {
        /// Blocks that the update has.
        expected: u64,
        /// Blocks that were complete.
        found: u64,
    },
    /// The bytes go on after the last block, or are more than such an update can take.
    #[error("expected at most {most} bytes, found more")]
    TooLong {
        /// Most bytes.
        most: u64,
    },
}

impl CompressionError {
    /// Whose fault it is. Encoded updates come from a peer; the edges, which know, override this for a caller's own
    /// values.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::UnknownEncoding { .. } | Self::Fraction { .. } | Self::Overflow { .. } => Fault::Caller,
            Self::ValueCount { .. } | Self::BlockLength { .. } => Fault::Bug,
            Self::Compress { .. } => Fault::Environment,
            Self::NotFinite { .. }
            | Self::TooLarge { .. }
            | Self::PayloadLength { .. }
            | Self::Scale { .. }
            | Self::Level { .. }
            | Self::Place { .. }
            | Self::Zstd { .. }
            | Self::Truncated { .. }
            | Self::TooLong { .. } => Fault::Peer,
        }
    }

    /// What the other side is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::UnknownEncoding { .. } | Self::Fraction { .. } => ReasonCode::new("JOB_INVALID"),
            Self::ValueCount { .. } | Self::BlockLength { .. } | Self::Compress { .. } => {
                ReasonCode::new("INTERNAL")
            }
            Self::NotFinite { .. } => ReasonCode::new("UPDATE_NOT_FINITE"),
            Self::TooLarge { .. } => ReasonCode::new("UPDATE_TOO_LARGE"),
            Self::Overflow { .. } => ReasonCode::new("ENCODING_OVERFLOW"),
            Self::PayloadLength { .. }
            | Self::Scale { .. }
            | Self::Level { .. }
            | Self::Place { .. }
            | Self::Zstd { .. }
            | Self::Truncated { .. }
            | Self::TooLong { .. } => ReasonCode::new("UPDATE_ENCODING_INVALID"),
        }
    }
}
