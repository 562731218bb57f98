use std::{
    num::{NonZeroU64, NonZeroUsize},
    time::Duration,
};

/// How many bytes of content one message carries: 64 KiB to 4 MiB - 64 KiB.
///
/// gRPC implementations accept messages of up to 4 MiB unless told otherwise; 64 KiB is left for what goes with the
/// content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChunkSize(usize);

impl ChunkSize {
    /// 64 KiB.
    pub const MIN: Self = Self(64 << 10);
    /// 4 MiB - 64 KiB.
    pub const MAX: Self = Self((4 << 20) - (64 << 10));
    /// 256 KiB: larger ones do not travel faster, and leave the processor's cache before they are encrypted.
    pub const DEFAULT: Self = Self(256 << 10);

    /// A chunk size in bytes; `None` outside of the range.
    #[must_use]
    pub const fn new(bytes: usize) -> Option<Self> {
        if bytes < Self::MIN.0 || bytes > Self::MAX.0 { None } else { Some(Self(bytes)) }
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }
}

/// How many bytes of an upload may be on their way at one time: 64 KiB to 512 MiB.
///
/// It becomes the HTTP/2 window of each upload, and twice of it that of each connection, which must stay below 2 GiB (RFC
/// 9113, section 6.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadWindow(u32);

impl UploadWindow {
    /// 64 KiB.
    pub const MIN: Self = Self(64 << 10);
    /// 512 MiB.
    pub const MAX: Self = Self(512 << 20);
    /// 256 KiB.
    pub const DEFAULT: Self = Self(256 << 10);

    /// A window in bytes; `None` outside of the range.
    #[must_use]
    pub const fn new(bytes: u32) -> Option<Self> {
        if bytes < Self::MIN.0 || bytes > Self::MAX.0 { None } else { Some(Self(bytes)) }
    }

    /// The window in bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.0
    }
}

/// What a coordinator lets its peers use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest model, in bytes of its parameters. 4 GiB by default.
    pub max_model: NonZeroU64,
    /// How much of a model one message carries. 256 KiB by default.
    pub chunk: ChunkSize,
    /// Connections at one time. 1024 by default.
    pub max_connections: NonZeroUsize,
    /// Updates uploaded at one time. 64 by default.
    pub max_uploads: NonZeroUsize,
    /// How much of each upload may be on its way at one time, in bytes: what a participant has sent and this coordinator
    /// has not looked at. That is lost and sent again when the coordinator dies, and it is what an upload that waits for
    /// its turn takes of the memory. A line with a round trip of 20 ms carries at most 50 times as much a second.
    /// 256 KiB by default.
    pub upload_window: UploadWindow,
    /// Bytes of updates that may wait for the disk at one time, of all uploads together; a single piece always may.
    /// 16 MiB by default.
    pub upload_memory: NonZeroUsize,
    /// How long a peer may take for the TLS handshake. 10 s by default.
    pub handshake: Duration,
    /// The window over which the rate of an upload is averaged. 30 s by default.
    pub stall: Duration,
    /// An upload that moves fewer bytes per second, averaged over `stall`, is dropped. 1 KiB by default.
    pub min_upload_rate: NonZeroU64,
}

impl Default for Limits {
    fn default() -> Self {
        const fn size(size: usize) -> NonZeroUsize {
            NonZeroUsize::MIN.saturating_add(size - 1)
        }
        const fn bytes(bytes: u64) -> NonZeroU64 {
            NonZeroU64::MIN.saturating_add(bytes - 1)
        }
        Self {
            max_model: bytes(4 << 30),
            chunk: ChunkSize::DEFAULT,
            max_connections: size(1024),
            max_uploads: size(64),
            upload_window: UploadWindow::DEFAULT,
            upload_memory: size(16 << 20),
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            min_upload_rate: bytes(1 << 10),
        }
    }
}
