use std::{fs::File, io::Read, path::Path};

/// How many bytes of an upload are in a coordinator's spool file: it begins with the digest of what it will hold, and
/// with how much of that is there.
pub(crate) fn received(file: &Path) -> u64 {
    let count = || {
        let mut header = [0; 40];
        File::open(file).and_then(|mut file| file.read_exact(&mut header)).ok()?;
        Some(u64::from_le_bytes(*header.last_chunk()?))
    };
    count().unwrap_or_default()
}
