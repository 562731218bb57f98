//! Whose fault a failure is, and the stable code a peer is told.

/// Whose fault a failure is.
///
/// Every error enum of the project answers `fault()`. The answer decides what the edges do with the error: the gRPC
/// status, the log level, whether a retry makes sense and whether a peer is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The other side sent something that breaks the protocol or cannot be used.
    Peer,
    /// The code that called this library, or the person who wrote its configuration, asked for something impossible.
    Caller,
    /// The machine or the network: a disk, a socket, a device.
    Environment,
    /// This library contradicts itself. Please report it.
    Bug,
}

/// The stable, machine-readable reason that a peer is told, in `SCREAMING_SNAKE_CASE`.
///
/// Codes are part of the protocol: once released, a code keeps its meaning. `docs/protocol.md` lists them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReasonCode(&'static str);

impl ReasonCode {
    /// Names a reason. The text must be `SCREAMING_SNAKE_CASE` and must never change its meaning.
    #[must_use]
    pub const fn new(code: &'static str) -> Self {
        Self(code)
    }

    /// The code as it travels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}
