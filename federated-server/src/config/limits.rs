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
    /// Connections at one time, of peers that have introduced themselves. Less where the system lets this process open
    /// too few files. 1024 by default.
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

/// Files that are open beside connections and uploads: the state, logs, what is read of models.
const OTHER_FILES: u64 = 48;
/// Most connections that may wait to be introduced.
const MOST_AT_THE_DOOR: u64 = 256;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// Of peers that have introduced themselves.
    pub(crate) inside: usize,
    /// Of others.
    pub(crate) at_the_door: usize,
}

impl Limits {
    /// How many connections there may be in a process that may have so many files open: an upload needs one beside its
    /// connection, and what is left is divided so that peers and strangers cannot take all of it from each other.
    pub(crate) fn places(&self, open_files: Option<u64>) -> Places {
        let wanted = self.max_connections.get();
        let Some(files) = open_files else {
            return Places { inside: wanted, at_the_door: count(MOST_AT_THE_DOOR) };
        };
        let reserve = (self.max_uploads.get() as u64).saturating_add(OTHER_FILES).min(files / 2);
        let left = files - reserve;
        let at_the_door = (left / 2).clamp(1, MOST_AT_THE_DOOR);
        Places {
            inside: wanted.min(count(left.saturating_sub(at_the_door)).max(1)),
            at_the_door: count(at_the_door),
        }
    }
}

fn count(places: u64) -> usize {
    usize::try_from(places).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        let limits = Limits::default();
        for files in [3, 8, 64, 256, 1_024, 65_536, u64::MAX] {
            let places = limits.places(Some(files));
            let connections = (places.inside + places.at_the_door) as u64;
            assert!(connections <= files.div_ceil(2).max(files.saturating_sub(112)), "{files}: {places:?}");
        }
        assert_eq!(limits.places(Some(256)), Places { inside: 72, at_the_door: 72 });
        assert_eq!(limits.places(Some(1_024)), Places { inside: 656, at_the_door: 256 });
        assert_eq!(limits.places(None), Places { inside: 1_024, at_the_door: 256 });
    }
}
