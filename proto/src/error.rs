use federated_core::{
    compression::{CompressionError, Encoding},
    fault::{Fault, ReasonCode},
    ids::{Digest, IdError},
    metrics::MetricsError,
    model::ModelError,
    update::UpdateError,
};

/// Why a message from a peer cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A field that must be there is not.
    #[error("expected the field `{field}`, found none")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A number is out of its range.
    #[error("field `{field}`: expected {expected}, found {found}")]
    Range {
        /// The field.
        field: &'static str,
        /// What is allowed.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A name or digest has the wrong form.
    #[error("field `{field}`: {source}")]
    Id {
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: IdError,
    },
    /// A layout or the values are unusable.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The metrics are unusable.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The example count is unusable.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The bytes of an encoded update are unusable.
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// An encoding is unknown, or not the one that the job uses.
    #[error("field `{field}`: expected {expected}, found {found}")]
    Encoding {
        /// The field.
        field: &'static str,
        /// What is allowed.
        expected: String,
        /// What was found.
        found: String,
    },
    /// An encoded update cannot have this length.
    #[error("expected an update of {least} to {most} bytes in the encoding {encoding}, found {found}")]
    EncodedLength {
        /// The encoding.
        encoding: Encoding,
        /// Fewest bytes that so many elements take.
        least: u64,
        /// Most bytes that they take.
        most: u64,
        /// The length announced.
        found: u64,
    },
    /// A masked vector has another length than the job's terms give it.
    #[error("expected a masked vector of {expected} bytes, found {found}")]
    MaskedLength {
        /// What the terms give.
        expected: u64,
        /// The length announced.
        found: u64,
    },
    /// A chunk does not start where the one before ended.
    #[error("expected a chunk at offset {expected}, found one at {found}")]
    ChunkOffset {
        /// Where the next chunk must start.
        expected: u64,
        /// Where it starts.
        found: u64,
    },
    /// A chunk is empty or too long.
    #[error("expected chunks of 1 to {max} bytes, found one of {found}")]
    ChunkLength {
        /// The most bytes in a chunk.
        max: usize,
        /// The bytes found.
        found: usize,
    },
    /// More bytes came than were announced.
    #[error("expected {expected} bytes in all, found more")]
    Oversized {
        /// The bytes announced.
        expected: u64,
    },
    /// The stream ended early.
    #[error("expected {expected} bytes, the stream ended after {found}; go on from there")]
    Truncated {
        /// The bytes announced.
        expected: u64,
        /// The bytes that came.
        found: u64,
    },
    /// The content is not what was announced.
    #[error("expected content with digest {expected}, found {found}")]
    DigestMismatch {
        /// The digest announced.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// A message came where another was expected.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What was expected.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// The peers have no version in common.
    #[error(
        "expected a minor version of federated.v1 between {ours_min} and {ours_max}, found {theirs_min} to {theirs_max}; \
         update the older side"
    )]
    Version {
        /// Our lowest.
        ours_min: u32,
        /// Our highest.
        ours_max: u32,
        /// Their lowest.
        theirs_min: u32,
        /// Their highest.
        theirs_max: u32,
    },
}

impl WireError {
    /// Whose fault it is: the peer that sent the message.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }

    /// What the peer is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Missing { .. } | Self::Range { .. } | Self::Id { .. } | Self::Unexpected { .. } => {
                ReasonCode::new("MESSAGE_INVALID")
            }
            Self::Model(error) => error.reason(),
            Self::Metrics(error) => error.reason(),
            Self::Update(error) => error.reason(),
            Self::Compression(error) => error.reason(),
            Self::Encoding { .. } => ReasonCode::new("UPDATE_WRONG_ENCODING"),
            Self::EncodedLength { .. } | Self::MaskedLength { .. } => ReasonCode::new("UPDATE_WRONG_SIZE"),
            Self::ChunkOffset { .. } | Self::ChunkLength { .. } => ReasonCode::new("CHUNK_INVALID"),
            Self::Oversized { .. } => ReasonCode::new("UPLOAD_OVERSIZED"),
            Self::Truncated { .. } => ReasonCode::new("UPLOAD_TRUNCATED"),
            Self::DigestMismatch { .. } => ReasonCode::new("UPLOAD_DIGEST_MISMATCH"),
            Self::Version { .. } => ReasonCode::new("VERSION_UNSUPPORTED"),
        }
    }

    /// Whether the content itself is unusable, so that sending it again cannot help.
    #[must_use]
    pub const fn is_about_content(&self) -> bool {
        matches!(
            self,
            Self::Model(_)
                | Self::Metrics(_)
                | Self::Update(_)
                | Self::Compression(_)
                | Self::Encoding { .. }
                | Self::EncodedLength { .. }
                | Self::Oversized { .. }
                | Self::DigestMismatch { .. }
        )
    }
}
